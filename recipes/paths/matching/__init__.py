"""Which atom of one structure is which of another: superposition, bonds, relabelling, and what differs."""

from dp_sim.recipes.paths.matching.bond_graph import same_bonds, same_change
from dp_sim.recipes.paths.matching.comparison import Comparison, same_structure
from dp_sim.recipes.paths.matching.distances import SAME_DISTANCES_A, difference
from dp_sim.recipes.paths.matching.handedness import courses, same_hands
from dp_sim.recipes.paths.matching.relabelling import Matching, best_matching

__all__ = [
    "SAME_DISTANCES_A",
    "Comparison",
    "Matching",
    "best_matching",
    "courses",
    "difference",
    "same_bonds",
    "same_change",
    "same_hands",
    "same_structure",
]
