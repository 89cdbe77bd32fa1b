"""The demo: train on the shipped water data, relax, vibrations, NVT and NPT in OpenMM, and one page of it all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypedDict

from ase import Atoms
from ase.io import read
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError, import_optional
from dp_sim.files import write_text
from dp_sim.model.compression import compress_file
from dp_sim.recipes.demo.settings import DemoSettings
from dp_sim.recipes.dynamics.npt import NPTResult, run_npt
from dp_sim.recipes.dynamics.nvt import NVTResult, run_nvt
from dp_sim.recipes.models.train import TrainResult, train
from dp_sim.recipes.results.loading import load_result
from dp_sim.recipes.results.page.html import collected_html
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.opt import OptResult, optimize
from dp_sim.recipes.static.vib import VibResult, vibrations

TEMPERATURE_K, PRESSURE_BAR = 330.0, 1.0
#: Heavier hydrogens allow steps of 2 fs; averages of the liquid do not depend on masses.
HYDROGEN_MASS_AMU, TIMESTEP_FS = 4.0, 2.0
#: 24 and 90 ps: about as short as heat capacity, density and compressibility allow; 64 molecules are worth a new sample
#: of their energy every 0.4 ps and of their density every 1.5 ps, and the start is denser than where this small model
#: wants to be.
NVT_STEPS, NPT_STEPS = 12_000, 45_000


class _Shared(TypedDict):
    """Options that every part takes."""

    overwrite: bool
    progress: bool
    seed: int


class _Dynamics(TypedDict):
    """Options of both runs of the liquid."""

    engine: str
    backend: str
    temperature_K: float
    timestep_fs: float
    hydrogen_mass_amu: float


@dataclass(frozen=True, kw_only=True)
class DemoResult(Result):
    """The results of the five parts."""

    recipe: ClassVar[str] = "demo"
    title: ClassVar[str] = "Water from labelled data to the density of the liquid"

    training: TrainResult
    relaxed: OptResult
    modes: VibResult
    nvt: NVTResult
    npt: NPTResult

    @classmethod
    @override
    def read_from_directory(cls) -> Mapping[str, Callable[[Path], Any]]:
        return {
            "training": lambda directory: load_result(directory / "train"),
            "relaxed": lambda directory: load_result(directory / "opt"),
            "modes": lambda directory: load_result(directory / "vib"),
            "nvt": lambda directory: load_result(directory / "nvt"),
            "npt": lambda directory: load_result(directory / "npt"),
        }

    def parts(self) -> dict[str, tuple[str, Result]]:
        """Return the parts by heading: what was done there in a sentence, and its result."""
        return {
            "1. Training": (
                "A Deep Potential is fitted to energies, forces and virials of GFN1-xTB; the held-out frames were not "
                "used in the fit.",
                self.training,
            ),
            "2. The molecule relaxed (ASE)": (
                "One water molecule, to its minimum on the learnt surface.",
                self.relaxed,
            ),
            "3. Its vibrations (ASE)": (
                "Frequencies from the exact Hessian of the model.",
                self.modes,
            ),
            "4. The liquid at constant volume (OpenMM)": (
                f"Langevin dynamics at {TEMPERATURE_K:.0f} K with the model, compressed (tables in place of embedding "
                f"nets: the same numbers, faster), as a Force of OpenMM; hydrogens of {HYDROGEN_MASS_AMU:.0f} amu "
                f"allow steps of {TIMESTEP_FS:.0f} fs and leave the averages as they are.",
                self.nvt,
            ),
            "5. The liquid at constant pressure (OpenMM)": (
                f"The same with a barostat at {PRESSURE_BAR:.0f} bar. A number that the run cannot support is "
                "withheld, with the reason. The liquid is denser than water, which has 0.985 g/cm³ here: the model "
                "repeats GFN1-xTB, whose water is that dense (1.28 g/cm³ with the larger shipped model).",
                self.npt,
            ),
        }

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        held_out = self.training.quantities()
        return {
            "held_out_forces_rmse": held_out["held_out_forces_rmse"],
            "held_out_energy_rmse": held_out["held_out_energy_rmse"],
            "molecule_energy": self.relaxed.quantities()["energy"],
            "frequencies": self.modes.quantities()["frequencies"],
            "heat_capacity": self.nvt.quantities()["heat_capacity_per_atom"],
            "density": self.npt.quantities()["density"],
            "compressibility": self.npt.quantities()["compressibility"],
        }


def example(name: str) -> Path:
    """Find the folder of a shipped example system: `water` or `ethanol`.

    Raises
    ------
    InputError
        There is no such example.
    """
    folder = Path(str(files("dp_sim.example_systems"))) / name
    if not folder.is_dir():
        known = sorted(path.name for path in folder.parent.iterdir() if (path / "README.md").is_file())
        raise InputError("example-unknown", f"there is no example system '{name}'; shipped are {', '.join(known)}")
    return folder


@documented(DemoSettings)
def run_demo(
    *,
    out: str | os.PathLike[str] = "demo",
    on_part: Callable[[str], Any] = lambda sentence: None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> DemoResult:
    """Train on the shipped water data, then use the model in ASE and in OpenMM; one HTML page shows it all.

    Parameters
    ----------
    out : path, default 'demo'
        Directory with one folder for each part, and report.html for all of them.
    on_part : callable
        Called with a sentence before each part.

    Returns
    -------
    DemoResult
        The results of the five parts.

    Raises
    ------
    InputError
        OpenMM or its plugin for torch is missing, or the directory holds something else.
    """
    settings = DemoSettings.taken_from(locals())
    import_optional("openmm", extra="openmm", purpose="the demo")
    folder = example("water")
    constants = {"temperature_K": TEMPERATURE_K, "pressure_bar": PRESSURE_BAR, "steps": [NVT_STEPS, NPT_STEPS]}
    liquid, molecule = read(folder / "water.extxyz"), read(folder / "water_molecule.extxyz")
    with RunDirectory.of(
        settings, out, structures=[liquid], calculator=None, overwrite=overwrite, resume=resume, constants=constants
    ) as run:
        directory = Path(out)
        shared = _Shared(overwrite=overwrite or resume, progress=progress, seed=settings.seed)
        on_part("1/5  training a Deep Potential on GFN1-xTB water")
        training = train(folder / "demo.yaml", out=directory / "train", **shared)
        assert isinstance(training, TrainResult)
        model = str(training.model_path)
        on_part("2/5  relaxing the molecule in ASE")
        relaxed = optimize(molecule, model, out=directory / "opt", fmax=0.001, **shared)
        on_part("3/5  vibrations from the exact Hessian")
        modes = vibrations(relaxed.atoms, model, out=directory / "vib", **shared)
        compressed = run.path("compressed.pt")
        assert compressed is not None
        compress_file(training.model_path, compressed)
        nvt, npt = _liquid(liquid, str(compressed), directory, shared, on_part)
        result = run.finish(
            DemoResult(converged=True, training=training, relaxed=relaxed, modes=modes, nvt=nvt, npt=npt)
        )
        report = run.path("report.html")
        assert report is not None
        write_text(report, collected_html(result.to_dict(), result.parts()))
        return result


def _liquid(
    start: Atoms, model: str, directory: Path, shared: _Shared, on_part: Callable[[str], Any]
) -> tuple[NVTResult, NPTResult]:
    """Run at constant volume, and from where that ended at constant pressure."""
    dynamics = _Dynamics(
        engine="openmm",
        backend="torchscript",
        temperature_K=TEMPERATURE_K,
        timestep_fs=TIMESTEP_FS,
        hydrogen_mass_amu=HYDROGEN_MASS_AMU,
    )
    on_part("4/5  the liquid at constant volume in OpenMM (TorchForce)")
    nvt = run_nvt(start, model, steps=NVT_STEPS, out=directory / "nvt", **dynamics, **shared)
    on_part("5/5  the liquid at constant pressure in OpenMM (TorchForce)")
    out = directory / "npt"
    npt = run_npt(nvt.atoms, model, steps=NPT_STEPS, pressure_bar=PRESSURE_BAR, out=out, **dynamics, **shared)
    return nvt, npt
