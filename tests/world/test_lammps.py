"""Models that DeePMD-kit trained run in LAMMPS by `pair_style dp_sim`, with the numbers that DeePMD-kit computed."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lammps_here import lammps_or_skip
from refusals import refused

from dp_sim.deepmd.importing import import_model
from dp_sim.model.compression import compress_file
from dp_sim.model.kernel_export import export_for_kernels
from dp_sim.plugins.lammps.building import build_plugin
from dp_sim.plugins.lammps.evaluation import evaluate_in_lammps
from dp_sim.plugins.lammps.installed import Lammps

TRAINED = Path(__file__).parents[1] / "deepmd_references" / "trained"
#: Largest deviation: of energies an atom (eV), of forces and virials relative to the largest.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


@pytest.fixture(scope="module")
def lammps() -> Lammps:
    return lammps_or_skip()


@pytest.fixture(scope="module")
def plugins(lammps: Lammps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_plugin(lammps, tmp_path_factory.mktemp("plugin"))


#: All that make_trained.py makes were tried so; these are one of each kind.
NAMES = (
    "plain-3.2.pth", "float32-3.1.pth", "hybrid-3.2.pth", "excluded-3.2.pth", "radial-3.2.pth", "tf_plain-3.2-tf.dp",
    "dpa1_concat-3.2.pth", "dpa1_strip-3.2.pth",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*excludes pairs of species and has a mean")
@pytest.mark.parametrize("name", NAMES)
def test_trained_models(lammps: Lammps, plugins: Path, name: str, tmp_path: Path) -> None:
    """One of every kind that has compiled kernels: means and padding, hybrids, both backends, both precisions."""
    kind, _, rest = name.partition("-")
    tables = {path.stem: path for path in TRAINED.glob("*.npz")}
    numbers = np.load(next(path for version, path in tables.items() if rest.removeprefix(version).startswith(".")))
    (tmp_path / name).write_bytes(gzip.decompress((TRAINED / f"{name}.gz").read_bytes()))
    import_model(tmp_path / name, tmp_path / "imported.pt")
    model, tolerance = tmp_path / "imported.pt", TOLERANCE["float32" if "float32" in kind else "float64"]
    if "strip" in kind:  # the factor of the types is in the tables of a compressed model
        with refused("export-unsupported", "DPA-1", "dp-sim compress"):
            export_for_kernels(model, tmp_path / "imported.dpsim")
        compress_file(model, tmp_path / "compressed.pt", spacing=0.002)
        model, tolerance = tmp_path / "compressed.pt", 1e-7
    export_for_kernels(model, tmp_path / "imported.dpsim")
    for where, ranks in (("molecule", 1), ("liquid", 2)):
        atoms = Atoms(**{field: numbers[f"{where}/{field}"] for field in ("numbers", "positions", "cell", "pbc")})
        got = evaluate_in_lammps(lammps, plugins, [tmp_path / "imported.dpsim"], atoms, tmp_path, ranks=ranks)
        assert abs(got.energy - numbers[f"{kind}/{where}/energy"][0]) < tolerance * len(atoms)
        for found, expected in ((got.forces, "forces"), (got.virial.ravel(), "virial")):
            known = numbers[f"{kind}/{where}/{expected}"].reshape(found.shape)
            assert np.abs(found - known).max() < tolerance * np.abs(known).max()
