"""Reference models and numbers of DeePMD-kit, for tests/deepmd/: run once, in an environment that has deepmd-kit 3.2.

    pip install "deepmd-kit[torch]==3.2.0" ase
    OMP_NUM_THREADS=1 python tests/deepmd_references/make_references.py

Every model has random weights and random statistics, so that no term is zero. Written beside this script: the models
as .dp, .yaml or .pth, all gzipped, and references.npz with energy, atomic energies, forces and virial of each for each
structure. And compressed.pth, as `dp compress` leaves a model: without numbers, for dp-sim refuses it.
"""

import copy
import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from data_alone import data_alone
from deepmd.dpmodel.utils.serialization import save_dp_model
from deepmd.pt.entrypoints.compress import enable_compression
from deepmd.pt.model.model import get_model
from deepmd.pt.utils.serialization import deserialize_to_file

HERE = Path(__file__).parent
SPECIES = ["O", "H", "Cu"]
ACTIVATIONS = ["relu", "relu6", "softplus", "sigmoid", "tanh", "gelu", "gelu_tf", "silu", "silut:1.5", "silut", "none"]


def structures() -> dict[str, Atoms]:
    """A molecule, a bulk, and a triclinic cell shorter than the cutoff; plain random places, far enough apart."""
    rng = np.random.default_rng(5)

    def spread(symbols: str, cell: np.ndarray, pbc: bool, nearest: float) -> Atoms:
        atoms = Atoms(symbols, cell=cell, pbc=pbc)
        for _ in range(100_000):
            atoms.set_scaled_positions(rng.uniform(size=(len(atoms), 3)))
            images = atoms.repeat(3) if pbc else atoms
            distances = images.get_all_distances()
            if distances[np.triu_indices(len(images), 1)].min() > nearest:
                return atoms
        raise RuntimeError("the atoms do not fit")

    molecule = spread("O2H4Cu", 4.5 * np.eye(3), False, 0.9)
    molecule.cell[:] = 0
    triclinic = np.array([[3.4, 0.0, 0.0], [0.9, 3.1, 0.0], [-0.7, 0.8, 3.3]])
    return {
        "molecule": molecule,
        "bulk": spread("O4H7Cu2", 7.5 * np.eye(3), True, 1.0),
        "triclinic": spread("OH2Cu", triclinic, True, 1.1),
    }


def se_a(**settings: object) -> dict:
    defaults = {
        "type": "se_e2_a", "rcut": 4.0, "rcut_smth": 0.8, "sel": [20, 26, 16], "neuron": [4, 8, 8], "axis_neuron": 3,
        "resnet_dt": False, "type_one_side": True, "activation_function": "tanh", "precision": "float64", "seed": 1,
    }  # fmt: skip
    return {**defaults, **settings}


def se_r(**settings: object) -> dict:
    left_out = ("axis_neuron",)
    return {key: value for key, value in {**se_a(), "type": "se_e2_r", **settings}.items() if key not in left_out}


def se_e3(**settings: object) -> dict:
    left_out = ("axis_neuron", "type_one_side")
    return {key: value for key, value in {**se_a(), "type": "se_e3", **settings}.items() if key not in left_out}


def dpa1(**settings: object) -> dict:
    left_out = ("resnet_dt",)
    defaults = {**se_a(), "type": "dpa1", "sel": 62, "tebd_dim": 4, "attn_layer": 0}
    return {key: value for key, value in {**defaults, **settings}.items() if key not in left_out}


def fitting(**settings: object) -> dict:
    defaults = {"neuron": [10, 10], "resnet_dt": False, "activation_function": "tanh", "precision": "float64"}
    return {**defaults, "seed": 2, **settings}


def definitions() -> dict[str, dict]:
    """Model sections of DeePMD-kit's input, by name; the suffix says what is written."""
    models = {
        "mean.dp": {"descriptor": se_a(), "fitting_net": fitting()},
        "mean.yaml": {"descriptor": se_a(), "fitting_net": fitting()},
        "mean.pth": {"descriptor": se_a(), "fitting_net": fitting()},
        "zero_mean.dp": {"descriptor": se_a(set_davg_zero=True), "fitting_net": fitting(resnet_dt=True)},
        "two_sided.dp": {
            "descriptor": se_a(type_one_side=False, resnet_dt=True, neuron=[5, 5, 10]),
            "fitting_net": fitting(resnet_dt=True, neuron=[12, 12, 24]),
        },
        "skip_in_first_layer.dp": {"descriptor": se_a(neuron=[2, 4, 4]), "fitting_net": fitting(neuron=[12, 12])},
        "excluded.dp": {"descriptor": se_a(exclude_types=[[0, 1], [2, 2]]), "fitting_net": fitting()},
        "excluded_zero_mean.dp": {
            "descriptor": se_a(exclude_types=[[0, 1]], set_davg_zero=True, type_one_side=False),
            "fitting_net": fitting(),
        },
        "protected.dp": {"descriptor": se_a(env_protection=0.1), "fitting_net": fitting()},
        "atom_energies.dp": {"descriptor": se_a(), "fitting_net": fitting(atom_ener=[-3.0, None, 0.5])},
        "excluded_in_model.dp": {
            "descriptor": se_a(),
            "fitting_net": fitting(),
            "pair_exclude_types": [[1, 2]],
            "atom_exclude_types": [2],
        },
        "radial.dp": {"descriptor": se_r(), "fitting_net": fitting()},
        "radial_excluded.dp": {"descriptor": se_r(exclude_types=[[0, 1]], resnet_dt=True), "fitting_net": fitting()},
        "float32.dp": {"descriptor": se_a(precision="float32"), "fitting_net": fitting(precision="float32")},
        "mixed_precision.dp": {"descriptor": se_a(precision="float32"), "fitting_net": fitting()},
    }
    parts = [se_a(rcut=3.2, exclude_types=[[0, 0]]), se_r(rcut=4.0, rcut_smth=1.5, resnet_dt=True)]
    for suffix in ("dp", "pth"):
        hybrid = {"type": "hybrid", "list": parts}
        models[f"hybrid.{suffix}"] = {"descriptor": hybrid, "fitting_net": fitting(neuron=[32, 32])}
    for name in ACTIVATIONS:
        descriptor = se_a(neuron=[4, 4], activation_function=name)
        net = fitting(neuron=[6], activation_function=name)
        models[f"activation_{name.replace(':', '_')}.dp"] = {"descriptor": descriptor, "fitting_net": net}
    models["three_body.dp"] = {"descriptor": se_e3(resnet_dt=True), "fitting_net": fitting()}
    models["three_body_excluded.pth"] = {
        "descriptor": se_e3(exclude_types=[[0, 1]], env_protection=0.05),
        "fitting_net": fitting(),
    }
    parts = [se_a(rcut=3.2), se_e3()]
    models["three_body_hybrid.dp"] = {"descriptor": {"type": "hybrid", "list": parts}, "fitting_net": fitting()}
    smooth = {"tebd_input_mode": "strip", "smooth_type_embedding": True, "type_one_side": False}
    models["dpa1_smooth.dp"] = {
        "descriptor": dpa1(**smooth, set_davg_zero=False, exclude_types=[[2, 2]], env_protection=0.05),
        "fitting_net": fitting(atom_ener=[-3.0, None, 0.5]),
    }
    models["dpa1_mean.dp"] = {
        "descriptor": dpa1(set_davg_zero=False, type_one_side=False, use_tebd_bias=True),
        "fitting_net": fitting(),
        "pair_exclude_types": [[1, 2]],
        "atom_exclude_types": [2],
    }
    parts = [se_a(), dpa1(tebd_input_mode="strip", rcut=3.2, set_davg_zero=False, exclude_types=[[0, 2]])]
    models["dpa1_hybrid.dp"] = {"descriptor": {"type": "hybrid", "list": parts}, "fitting_net": fitting()}
    return models


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Statistics as data would leave them: a mean and two deviations per species of the centre; a bias per species."""
    rng = np.random.default_rng(seed)
    atomic = model.atomic_model
    parts = getattr(atomic.descriptor, "descrpt_list", [atomic.descriptor])
    for part in parts:
        mean, deviation = (np.array(value.tolist()) for value in part.get_stat_mean_and_stddev())
        for species in range(len(SPECIES)):
            deviation[species, :, 0] = rng.uniform(0.1, 0.3)
            deviation[species, :, 1:] = rng.uniform(0.1, 0.3)
            block = next((getattr(part, name) for name in ("sea", "seat", "se_atten") if hasattr(part, name)), part)
            if not block.set_davg_zero:
                mean[species, :, 0] = rng.uniform(0.05, 0.2)
        part.set_stat_mean_and_stddev(torch.tensor(mean), torch.tensor(deviation))
    atomic.fitting_net.bias_atom_e[:] = torch.tensor(rng.normal(size=(len(SPECIES), 1)))
    atomic.out_bias[:] = torch.tensor(10 * rng.normal(size=(1, len(SPECIES), 1)))


def evaluate(model: torch.nn.Module, atoms: Atoms) -> dict[str, np.ndarray]:
    species = torch.tensor([[SPECIES.index(symbol) for symbol in atoms.symbols]])
    positions = torch.tensor(atoms.positions.reshape(1, -1), requires_grad=True)
    box = torch.tensor(np.asarray(atoms.cell).reshape(1, 9)) if atoms.pbc.any() else None
    output = model(positions, species, box=box)
    names = {"energy": "energy", "atomic_energies": "atom_energy", "forces": "force", "virial": "virial"}
    return {ours: output[theirs].detach().numpy()[0] for ours, theirs in names.items()}


def write_compressed() -> None:
    """A frozen model with tables in place of its nets; coarse ones, to keep the file small."""
    definition = {"type_map": ["O", "H"], "descriptor": se_a(sel=[20, 26], neuron=[2, 4]), "fitting_net": fitting()}
    model = get_model(copy.deepcopy(definition)).eval()
    shortest = {"min_nbor_dist": np.array(0.9)}
    data = {"backend": "PyTorch", "model": model.serialize(), "model_def_script": definition, "@variables": shortest}
    with tempfile.TemporaryDirectory() as folder:
        frozen, compressed = Path(folder) / "frozen.pth", Path(folder) / "compressed.pth"
        deserialize_to_file(str(frozen), data)
        enable_compression(str(frozen), str(compressed), stride=0.1)
        (HERE / "compressed.pth.gz").write_bytes(gzip.compress(data_alone(compressed), mtime=0))


def main() -> None:
    numbers: dict[str, np.ndarray] = {}
    for name, atoms in structures().items():
        for field in ("numbers", "positions", "cell", "pbc"):
            numbers[f"{name}/{field}"] = np.asarray(getattr(atoms, field))
    for seed, (file, definition) in enumerate(definitions().items()):
        definition = {"type_map": SPECIES, **definition}
        model = get_model(copy.deepcopy(definition)).eval()
        model = model.to(torch.device("cpu"))
        randomise(model, 0 if file.startswith("mean.") else seed)
        data = {"backend": "PyTorch", "model": model.serialize(), "model_def_script": definition, "@variables": {}}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            (deserialize_to_file if file.endswith(".pth") else save_dp_model)(str(path), data)
            content = data_alone(path) if file.endswith(".pth") else path.read_bytes()
            (HERE / f"{file}.gz").write_bytes(gzip.compress(content, mtime=0))
        for name, atoms in structures().items():
            for field, value in evaluate(model, atoms).items():
                numbers[f"{file}/{name}/{field}"] = value
    np.savez_compressed(HERE / "references.npz", **numbers)
    write_compressed()
    print(json.dumps({path.name: path.stat().st_size for path in sorted(HERE.iterdir())}, indent=1))


if __name__ == "__main__":
    main()
