"""Which atom of one structure is which of another: superposition, bonds, relabelling of like atoms."""

from dp_sim.recipes.paths.matching.comparison import Comparison, same_structure
from dp_sim.recipes.paths.matching.relabelling import Matching, best_matching

__all__ = ["Comparison", "Matching", "best_matching", "same_structure"]
