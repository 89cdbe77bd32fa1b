"""Label calculators that count what they are asked for, and go wrong at chosen evaluations."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT


class Reference(EMT):
    """EMT that writes a line for each evaluation into a file.

    At the evaluations (from 1, over all processes) in `trouble` it raises, hangs, dies, does not converge, gives NaN or
    absurd forces.
    """

    def __init__(self, log: Path, trouble: Mapping[int, str] | None = None) -> None:
        super().__init__()
        self.log, self.trouble, self.converged = log, dict(trouble or {}), True

    def calculate(self, *arguments: Any, **keywords: Any) -> None:
        super().calculate(*arguments, **keywords)
        with self.log.open("a") as file:
            file.write(f"{self.results['energy']!r}\n")
        trouble = self.trouble.get(len(self.log.read_text().splitlines()), "")
        self.converged = trouble != "unconverged"
        if trouble == "raises":
            raise CalculationFailed("SCF not converged in 250 cycles")
        if trouble == "hangs":
            time.sleep(60)
        if trouble == "dies":
            os._exit(9)
        if trouble == "absurd":
            self.results["forces"] = 1e4 * self.results["forces"]
        if trouble == "nan":
            self.results["forces"] = np.full_like(self.results["forces"], np.nan)
