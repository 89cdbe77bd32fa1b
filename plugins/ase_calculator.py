"""DPCalculator: a Deep Potential, or a committee of them, as an ASE calculator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor

from dp_sim.model.model_file import ModelSource, as_model
from dp_sim.structures import stated


class DPCalculator(Calculator):
    """Energy, forces and stress of a Deep Potential for ASE.

    Results (ASE's units): energy and free_energy (the same: there is no electronic entropy) in eV, energies (N,) eV,
    forces (N, 3) eV/Angstrom, and stress (6,) eV/Angstrom^3, Voigt order, where all three axes are periodic. With a
    committee these are means, and `results["energy_std"]` eV and `results["forces_std"]` (N, 3) eV/Angstrom are the
    standard deviations over its members (ddof=1); of a calibrated committee they are standard uncertainties, which hold
    68 % of the errors (`model.calibration`). `results["member_energies"]` (K,) eV and, where there is a stress,
    `results["member_stresses"]` (K, 6) eV/Angstrom^3 are those by each member.

    A single model that was calibrated (`dp-sim calibrate MODEL --train ...`) has `energy_std` too. `forces_std` is
    computed when `get_property("forces_std", atoms)` asks: it takes a backward pass for each feature of the last layer.

    Parameters
    ----------
    model
        A model file, several (a committee), or a loaded model.
    device
        Of the model, for files; default "cpu".
    dtype
        "float32" or "float64", for files; default: as trained. The geometry is float64 either way.
    stress_of_slabs
        Give the stress of a slab or a wire too, per volume of its cell with the vacuum.

    Warns
    -----
    UserWarning
        Once, of charges that sum to zero and of magnetic moments on the atoms: they are not used.

    Raises
    ------
    InputError
        With the model: unknown files, device or dtype together with a loaded model. With the atoms: elements that the
        model does not know, positions that are not finite, atoms on one spot, periodic axes without volume, a charge or
        a spin in `info`, initial charges that sum to a charge, sites that are filled in part.
    """

    name = "dp-sim"
    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]
    # Charges and magnetic moments do not enter: a change of them leaves the results valid.
    ignored_changes: ClassVar[set[str]] = set(stated.ATOMIC_STATE)

    def __init__(
        self,
        model: ModelSource,
        device: str | None = None,
        dtype: str | None = None,
        *,
        stress_of_slabs: bool = False,
    ) -> None:
        super().__init__()
        #: Arrays of the structure that are not used, of which the user has been told.
        self.told_unused: set[str] = set()
        self._accepted: tuple[str | bytes, ...] = ()
        self.stress_of_slabs = stress_of_slabs
        self.model = as_model(model, device=device, dtype=dtype)
        # What ASE writes into databases and trajectories to say what computed a number.
        self.parameters.update(
            model_sha256=[member.sha256 for member in self.model.members],
            device=str(self.model.device),
            dtype=self.model.metadata.dtype,
        )

    def __repr__(self) -> str:
        """Return what the model says of itself: species, cutoff, size, errors."""
        return f"DPCalculator({self.model!r})"

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill `results` with all properties, whichever are asked for: they come from one evaluation.

        Parameters
        ----------
        atoms
            The structure; None: the one that the calculator saw last.
        properties, system_changes
            As ASE passes them.

        Raises
        ------
        InputError
            As the class says of the atoms.
        """
        super().calculate(atoms, properties, system_changes)
        self._accept(self.atoms)
        # Stress is a derivative per volume, which only a cell that is periodic along all three axes has by itself.
        slab = self.stress_of_slabs and self.atoms.pbc.any() and self.atoms.cell.rank == 3
        with_stress = bool(self.atoms.pbc.all() or slab)
        output = self.model.evaluate(self.atoms, forces=True, virial=with_stress)
        energy = output.energy.item()
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": _array(output.atomic_energies),
            "forces": _array(output.forces),
        }
        if with_stress:
            stress = -_array(output.virial)[0] / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
        if output.energy_std is not None:
            self.results["energy_std"] = output.energy_std.item()
        if output.forces_std is not None:
            self.results["forces_std"] = _array(output.forces_std)
        if output.member_energies is not None:
            self.results["member_energies"] = _array(output.member_energies)[0]
        if output.member_virials is not None:
            stresses = -_array(output.member_virials)[0] / self.atoms.get_volume()
            self.results["member_stresses"] = np.stack([full_3x3_to_voigt_6_stress(one) for one in stresses])

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Return a property; "forces_std" of a single model, which costs far more than all others, is computed here."""
        if name == "forces_std" and allow_calculation and self.model.last_layer is not None:
            structure = self.atoms if atoms is None else atoms
            if self.calculation_required(structure, ["energy"]):
                self.calculate(structure)
            if name not in self.results:
                self.results[name] = _array(self.model.forces_std(self.atoms))
            return np.array(self.results[name])
        return super().get_property(name, atoms, allow_calculation)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """List what has changed since the last evaluation; a charge stated since then is refused though none is due."""
        self._accept(atoms)
        return list(super().check_state(atoms, tol))

    def _accept(self, atoms: Atoms) -> None:
        """Refuse what a Deep Potential does not know; warn once of charges (zero in all) and moments on the atoms."""
        stands = (repr(atoms.info), *(atoms.arrays[a].tobytes() for a in stated.READ_ARRAYS if a in atoms.arrays))
        if stands == self._accepted:  # asked at every property of every step
            return
        stated.refuse_state(atoms)
        self._accepted = stands
        for array, words in stated.ATOMIC_STATE.items():
            if array not in self.told_unused and array in atoms.arrays and atoms.arrays[array].any():
                self.told_unused.add(array)
                warnings.warn(f"the {words} on the atoms are not used: a Deep Potential knows none", stacklevel=2)

    def get_hessian(self, atoms: Atoms | None = None, indices: Sequence[int] | None = None) -> np.ndarray:
        """Compute exact second derivatives of the energy, rows and columns x, y, z of each atom.

        Parameters
        ----------
        atoms
            The structure; None: the one that the calculator saw last.
        indices
            (R,) atoms whose rows are computed, at their share of the cost; None: all.

        Returns
        -------
        numpy.ndarray
            (3R, 3N) eV/Angstrom^2.
        """
        structure = self.atoms if atoms is None else atoms
        self._accept(structure)
        return _array(self.model.hessian(structure, indices))


def _array(values: Tensor | None) -> np.ndarray:
    assert values is not None  # every field that is read here was asked for
    return values.cpu().numpy()
