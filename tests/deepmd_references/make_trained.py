"""Models that DeePMD-kit trained, and its numbers for them: run in an environment with deepmd-kit 3.0, 3.1 or 3.2.

    pip install "deepmd-kit[torch]==3.2.0" ase
    OMP_NUM_THREADS=1 python tests/deepmd_references/make_trained.py
    OMP_NUM_THREADS=1 python tests/deepmd_references/make_trained.py --tensorflow     # with "deepmd-kit[cpu]==3.2.0"

Every model is made as users make theirs: `dp train` for a few steps on frames of example_systems/water, options left at
their defaults, `dp freeze`, `dp convert-backend`. Only the nets are small. Written into trained/, gzipped: the models
(of a `.pth` the data alone, without the code that torch stores beside them) and VERSION.npz with energy, forces and
virial for two structures.

`compressed_trained-VERSION.pth`, beside trained/, is `dp --pt compress -s 0.5` of `plain` (3.2.0 from PyPI lacks the
operators for it): without numbers, for dp-sim refuses it.
"""

import argparse
import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import deepmd
import numpy as np
from ase import Atoms
from ase.io import read
from data_alone import data_alone
from deepmd.infer import DeepPot
from deepmd.main import main as dp

#: What is kept of a version before 3.2.
OLDER = ("plain", "commented", "float32", "dpa1_concat", "dpa1_strip_smooth")
HERE = Path(__file__).resolve().parent
WATER = HERE.parents[1] / "example_systems" / "water"
TYPES = ["O", "H"]
SIZES: dict[str, Any] = {"rcut": 4.0, "neuron": [4, 8], "axis_neuron": 2}


def se_a(**settings: Any) -> dict[str, Any]:
    return {"type": "se_e2_a", **SIZES, "sel": [20, 34], **settings}


def se_r(**settings: Any) -> dict[str, Any]:
    return {"type": "se_e2_r", "rcut": 4.0, "neuron": [4, 8], "sel": [20, 34], **settings}


def dpa1(**settings: Any) -> dict[str, Any]:
    return {"type": "dpa1", **SIZES, "sel": 50, "attn_layer": 0, **settings}


def model(descriptor: dict[str, Any], fitting: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    return {
        "type_map": TYPES,
        "descriptor": descriptor,
        "fitting_net": {"neuron": [8, 8], **(fitting or {})},
        **settings,
    }


def definitions() -> dict[str, tuple[dict[str, Any], tuple[str, ...]]]:
    """Model sections of the input by name, and which files are kept: .pth, .dp, .yaml, .ckpt.pt."""
    strip = {"tebd_input_mode": "strip"}
    return {
        "plain": (model(se_a()), ("pth", "dp", "yaml", "ckpt.pt")),
        "commented": (model(se_a(type_one_side=True, _comment2="sides"), _comment="that's all"), ("pth",)),
        "radial": (model(se_r()), ("pth",)),
        "three_body": (model({"type": "se_e3", "rcut": 3.0, "neuron": [2, 4], "sel": [10, 20]}), ("pth",)),
        "hybrid": (model({"type": "hybrid", "list": [se_a(), se_r()]}), ("pth",)),
        "float32": (model(se_a(precision="float32"), {"precision": "float32"}), ("pth", "ckpt.pt")),
        "excluded": (model(se_a(exclude_types=[[0, 0]]), pair_exclude_types=[[1, 1]]), ("pth",)),
        "dpa1_concat": (model(dpa1()), ("pth", "dp", "ckpt.pt")),
        "dpa1_one_side": (model(dpa1(type_one_side=True, resnet_dt=True, use_tebd_bias=True)), ("pth", "dp")),
        "dpa1_mean": (model(dpa1(set_davg_zero=False, exclude_types=[[0, 1]])), ("pth",)),
        "dpa1_strip": (model(dpa1(**strip)), ("pth", "dp")),
        "dpa1_strip_smooth": (
            model(dpa1(**strip, smooth_type_embedding=True, set_davg_zero=False, exclude_types=[[1, 1]])),
            ("pth", "dp"),
        ),
        "dpa1_strip_one_side": (
            model(dpa1(**strip, type_one_side=True, set_davg_zero=False, concat_output_tebd=False)),
            ("pth",),
        ),
        "dpa1_float32": (model(dpa1(**strip, precision="float32"), {"precision": "float32"}), ("pth",)),
        "dpa1_atom_energies": (
            # two numbers for each of two types: the net of the type vectors has a skip connection
            model(dpa1(tebd_dim=2, activation_function="gelu"), {"atom_ener": [-1.0, 2.0]}),
            ("pth",),
        ),
        "dpa1_hybrid": (model({"type": "hybrid", "list": [se_a(), dpa1(**strip)]}), ("pth", "dp")),
        "se_atten_v2": (model({**dpa1(), "type": "se_atten_v2"}), ("pth",)),
    }


def tensorflow_definitions() -> dict[str, tuple[dict[str, Any], tuple[str, ...]]]:
    typed = {"type_embedding": {"neuron": [2], "resnet_dt": True, "activation_function": "tanh"}}
    return {
        "tf_plain": (model(se_a()), ("dp",)),
        # 10, for with 8, the width of the descriptor, the conversion adds a skip connection that is not in the .pb
        "tf_radial": (model(se_r(), {"neuron": [10, 10]}), ("dp",)),
        "tf_dpa1": (model({**dpa1(), "type": "se_atten"}), ("dp",)),
        "tf_dpa1_typed": (model({**dpa1(), "type": "se_atten"}, **typed), ("dp",)),
        "tf_dpa1_strip": (model({**dpa1(tebd_input_mode="strip"), "type": "se_atten"}), ("dp",)),
        "tf_one_side": (model(se_a(type_one_side=True), {"resnet_dt": False}), ("dp",)),
    }


def structures() -> dict[str, Atoms]:
    """A molecule, hydrogen first, and 48 atoms of the liquid in a sheared cell."""
    frames = read(WATER / "test.extxyz.gz", ":")
    molecule = next(frame for frame in frames if len(frame) == 6)[[1, 0, 2, 3, 5, 4]]
    liquid = next(frame for frame in read(WATER / "train.extxyz.gz", ":") if frame.pbc.all() and len(frame) == 48)
    liquid.set_cell(liquid.cell.array + np.array([[0, 0, 0], [0.9, 0, 0], [-0.6, 0.7, 0]]), scale_atoms=True)
    return {"molecule": molecule, "liquid": liquid}


def write_frames(folder: Path) -> None:
    """Four liquids of 48 atoms as a DeePMD folder."""
    frames = [frame for frame in read(WATER / "train.extxyz.gz", ":") if frame.pbc.all() and len(frame) == 48][2:6]
    (folder / "set.000").mkdir(parents=True)
    kinds = [TYPES.index(symbol) for symbol in frames[0].get_chemical_symbols()]
    (folder / "type.raw").write_text("\n".join(map(str, kinds)))
    (folder / "type_map.raw").write_text("\n".join(TYPES))
    columns = {
        "coord": [f.positions.ravel() for f in frames],
        "box": [f.cell.array.ravel() for f in frames],
        "energy": [f.get_potential_energy() for f in frames],
        "force": [f.get_forces().ravel() for f in frames],
    }
    for name, values in columns.items():
        np.save(folder / "set.000" / name, np.array(values))


def train(definition: dict[str, Any], backend: str, folder: Path) -> Path:
    """dp train, dp freeze; the frozen model."""
    write_frames(folder / "data")
    data = {"systems": ["data"], "batch_size": 1}
    settings = {
        "model": definition,
        "learning_rate": {"type": "exp", "start_lr": 0.001, "stop_lr": 1e-5, "decay_steps": 10},
        "loss": {"type": "ener", "start_pref_e": 0.02, "limit_pref_e": 1, "start_pref_f": 1000, "limit_pref_f": 1},
        "training": {"training_data": data, "numb_steps": 30, "seed": 10, "disp_freq": 30, "save_freq": 30},
    }
    (folder / "input.json").write_text(json.dumps(settings))
    os.chdir(folder)
    dp([backend, "train", "input.json"])
    frozen = folder / ("frozen.pb" if backend == "--tf" else "frozen.pth")
    dp([backend, "freeze", "-o", frozen.name])
    return frozen


def content(frozen: Path, suffix: str) -> bytes:
    if suffix == "pth":
        return data_alone(frozen)
    if suffix == "ckpt.pt":
        return (frozen.parent / "model.ckpt.pt").read_bytes()
    converted = frozen.with_suffix(f".{suffix}")
    dp(["convert-backend", frozen.name, converted.name])
    return converted.read_bytes()


def numbers(frozen: Path, atoms: Atoms) -> dict[str, np.ndarray]:
    kinds = [TYPES.index(symbol) for symbol in atoms.get_chemical_symbols()]
    cell = atoms.cell.array.reshape(1, 9) if atoms.pbc.all() else None
    energy, forces, virial = DeepPot(str(frozen)).eval(atoms.positions.reshape(1, -1), cell, kinds)[:3]
    return {"energy": energy.ravel(), "forces": forces[0], "virial": virial.ravel()}


def chosen(tensorflow: bool, every: bool) -> dict[str, tuple[dict[str, Any], tuple[str, ...]]]:
    if tensorflow:
        return tensorflow_definitions()
    newest = deepmd.__version__.startswith("3.2")
    return {name: given for name, given in definitions().items() if every or newest or name in OLDER}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tensorflow", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE / "trained")
    parser.add_argument("--all", action="store_true", help="of an older version too")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(exist_ok=True, parents=True)
    version = ".".join(deepmd.__version__.split(".")[:2])
    version += "-tf" if arguments.tensorflow else ""
    stored: dict[str, np.ndarray] = {}
    for where, atoms in structures().items():
        for field in ("numbers", "positions", "pbc"):
            stored[f"{where}/{field}"] = getattr(atoms, field)
        stored[f"{where}/cell"] = atoms.cell.array
    if arguments.tensorflow:  # 3.2.0 hands integers of numpy to JSON, which refuses them, for DPA-1
        json.JSONEncoder.default = lambda self, number: number.item()  # type: ignore[method-assign]
    for name, (definition, suffixes) in chosen(arguments.tensorflow, arguments.all).items():
        with tempfile.TemporaryDirectory() as folder:
            frozen = train(definition, "--tf" if arguments.tensorflow else "--pt", Path(folder).resolve())
            for suffix in suffixes:
                (out / f"{name}-{version}.{suffix}.gz").write_bytes(gzip.compress(content(frozen, suffix), mtime=0))
            for where, atoms in structures().items():
                for field, value in numbers(frozen, atoms).items():
                    stored[f"{name}/{where}/{field}"] = value
        os.chdir(HERE)
    np.savez_compressed(out / f"{version}.npz", **stored)


if __name__ == "__main__":
    main()
