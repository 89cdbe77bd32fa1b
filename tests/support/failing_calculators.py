"""Calculators that fail on the way, as an SCF does that does not converge."""

from collections.abc import Callable
from typing import Any

from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

#: What tblite says.
WORDS = "SCF not converged in 250 cycles"


class Failing(Calculator):
    """Another calculator, but for the evaluations that `fails(number, atoms)` chooses; they are counted from 1."""

    def __init__(self, calculator: Any, fails: Callable[[int, Atoms], bool]) -> None:
        super().__init__()
        self.inner, self.fails, self.evaluations = calculator, fails, 0
        self.implemented_properties = calculator.implemented_properties

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.evaluations += 1
        if self.fails(self.evaluations, self.atoms):
            raise CalculationFailed(WORDS)
        self.inner.calculate(self.atoms, properties, system_changes)
        self.results = dict(self.inner.results)


def cold_xtb(max_iterations: int) -> Any:
    """GFN2-xTB that begins each SCF anew, with few iterations: tblite itself fails where they do not suffice."""
    from tblite.ase import TBLite

    class ColdXTB(TBLite):
        def calculate(self, *arguments: Any, **keywords: Any) -> None:
            self._res = None
            super().calculate(*arguments, **keywords)

    return ColdXTB(method="GFN2-xTB", verbosity=0, max_iterations=max_iterations)
