"""Vibrations: normal modes from the exact Hessian, or from differences of forces where the calculator has none."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.files import atomic_path, write_text
from dp_sim.recipes.inputs.forces import energies_and_forces, mobile_atoms
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.hessian import compute_hessian
from dp_sim.recipes.static.molden import molden_text
from dp_sim.recipes.static.normal_modes import NormalModes, normal_modes
from dp_sim.recipes.static.rigid_motions import RigidMotions, find_rigid_motions
from dp_sim.recipes.static.settings import VibSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class VibResult(Result):
    """Normal modes of a structure of N atoms: M modes, rising in frequency.

    Attributes
    ----------
    atoms
        The structure.
    frequencies_cm1
        (M,) wavenumbers; an imaginary one is a negative number.
    modes
        (M, N, 3) Cartesian displacements of length 1.
    reduced_masses_amu
        (M,) of these displacements.
    n_imaginary
        How many frequencies are imaginary, below zero by more than `ZERO_CM1` of `normal_modes`: 0 at a minimum, 1 at a
        transition state.
    zero_point_energy_eV
        Half a quantum for each real mode.
    hessian
        (3n, 3n) eV/Angstrom^2 over the n atoms that may move; symmetric.
    hessian_source
        How it was computed, in words.
    fmax_eV_A
        Largest force on an atom of the structure.
    rigid_frequencies_cm1
        (K,) of the translations and rotations that were taken out: what the forces left in the structure, and errors
        of the Hessian, would make of them.
    rigid
        How many translations and rotations these are, and what other motions of the whole cost.
    """

    recipe: ClassVar[str] = "vib"
    title: ClassVar[str] = "Vibrations"

    atoms: Atoms
    frequencies_cm1: NDArray[np.float64]
    modes: NDArray[np.float64]
    reduced_masses_amu: NDArray[np.float64]
    n_imaginary: int
    zero_point_energy_eV: float
    hessian: NDArray[np.float64]
    hessian_source: str
    fmax_eV_A: float
    rigid_frequencies_cm1: NDArray[np.float64]
    rigid: RigidMotions

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "frequencies": Quantity(self.frequencies_cm1, "cm^-1"),
            "imaginary_frequencies": Quantity(self.n_imaginary),
            "zero_point_energy": Quantity(self.zero_point_energy_eV, "eV"),
            "rigid_motions": Quantity(self.rigid.words),
            "rigid_frequencies": Quantity(self.rigid_frequencies_cm1, "cm^-1"),
            "fmax": Quantity(self.fmax_eV_A, "eV/Angstrom"),
            "hessian_source": Quantity(self.hessian_source),
        }

    @override
    def figures(self) -> dict[str, Figure]:
        figure, axes = new_figure("wavenumber (cm⁻¹), negative: imaginary", "")
        figure.set_size_inches(6.0, 2.2)
        for colour, shown in ((COLOURS[0], self.frequencies_cm1 >= 0), (COLOURS[1], self.frequencies_cm1 < 0)):
            axes.vlines(self.frequencies_cm1[shown], 0, 1, color=colour, linewidth=1.4)
        axes.set_ylim(0, 1.15)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        return {"spectrum": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        with atomic_path(path("hessian.npz")) as temporary:
            np.savez(
                temporary,
                hessian_eV_A2=self.hessian,
                masses_amu=self.atoms.get_masses(),
                frequencies_cm1=self.frequencies_cm1,
                modes=self.modes,
                reduced_masses_amu=self.reduced_masses_amu,
            )
        if len(self.frequencies_cm1):
            write_frames(path("modes.extxyz"), [self._mode_frame(number) for number in range(len(self.modes))])
        write_text(path("modes.molden"), molden_text(self.atoms, self.frequencies_cm1, self.modes))

    def _mode_frame(self, number: int) -> Atoms:
        frame = self.atoms.copy()
        frame.info.update(mode=number, frequency_cm1=float(self.frequencies_cm1[number]))
        frame.arrays["displacement"] = self.modes[number]
        return frame


@documented(VibSettings)
def vibrations(
    atoms: Atoms,
    calc: Any,
    *,
    hessian: str = "auto",
    delta: float = 0.005,
    fmax: float = 0.02,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> VibResult:
    """Compute the normal modes, their frequencies and the zero-point energy.

    Parameters
    ----------
    atoms
        The structure, at a stationary point; atoms held by `FixAtoms` stay where they are.
    calc
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    VibResult
        Frequencies and modes. Translations and rotations of the whole are taken out where they cost no energy, whatever
        the periodicity and the fixed atoms; see `dp_sim.recipes.static.rigid_motions`.

    Raises
    ------
    InputError
        A setting out of range, constraints other than `FixAtoms`, or from `prepare_atoms` and `RunDirectory`.

    Notes
    -----
    A Hessian by differences continues with `resume` at the atom where it stopped.
    """
    settings = VibSettings.taken_from(locals())
    atoms = prepare_atoms(atoms, calc)
    mobile = mobile_atoms(atoms)
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        gradient = -atoms.get_forces()  # of fixed atoms it is zero
        largest = float(np.linalg.norm(gradient, axis=1).max())
        matrix, source = compute_hessian(
            atoms, method=settings.hessian, delta=settings.delta, mobile=mobile, run=run, progress=progress
        )
        rigid = _rigid(atoms, matrix, gradient[mobile], mobile, source == "exact")
        run.log(rigid.words)
        modes = normal_modes(matrix, atoms.get_masses()[mobile], rigid.columns)
        return run.finish(_result(atoms, matrix, source, modes, rigid, mobile, largest, settings.fmax))


def _rigid(
    atoms: Atoms, hessian: NDArray[np.float64], gradient: NDArray[np.float64], mobile: NDArray[np.intp], exact: bool
) -> RigidMotions:
    """The motions of the whole that cost nothing; asked of the forces again where the Hessian is not exact."""

    def forces(positions: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = atoms.copy()
        moved.positions[mobile] = positions
        return next(energies_and_forces([moved], atoms.calc))[1][mobile]

    return find_rigid_motions(atoms, hessian, gradient, mobile, None if exact else forces)


def _result(
    atoms: Atoms,
    hessian: NDArray[np.float64],
    source: str,
    modes: NormalModes,
    rigid: RigidMotions,
    mobile: NDArray[np.intp],
    largest: float,
    fmax: float,
) -> VibResult:
    displacements = np.zeros((len(modes.frequencies_cm1), len(atoms), 3))
    displacements[:, mobile] = modes.displacements
    cause = ""
    if largest > fmax:
        cause = (
            f"the structure is not relaxed: its largest force is {largest:.3g} eV/Angstrom, {largest / fmax:.1f} times "
            f"the bound of {fmax:g}; run the optimisation first (dp-sim opt) with a tighter fmax"
        )
    bare = atoms.copy()
    return VibResult(
        converged=largest <= fmax,
        cause=cause,
        atoms=bare,
        frequencies_cm1=modes.frequencies_cm1,
        modes=displacements,
        reduced_masses_amu=modes.reduced_masses_amu,
        n_imaginary=modes.n_imaginary,
        zero_point_energy_eV=modes.zero_point_energy_eV,
        hessian=hessian,
        hessian_source=source,
        fmax_eV_A=largest,
        rigid_frequencies_cm1=modes.rigid_frequencies_cm1,
        rigid=rigid,
    )
