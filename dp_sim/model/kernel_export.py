"""Export of a model for the compiled kernels alone: one file that other programs read without torch and Python."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from ase.data import atomic_masses, atomic_numbers

from dp_sim.compiled.evaluation import compile_potential
from dp_sim.compiled.kernel_file import Description, kernel_file
from dp_sim.compiled.library import register_operators
from dp_sim.compiled.packing import PackedModel
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.errors import InputError, MissingPackageError
from dp_sim.files import atomic_path
from dp_sim.model.metadata import ModelMetadata, summary
from dp_sim.model.model_file import load_model
from dp_sim.model.potential import Potential
from dp_sim.model.rebuilding import rebuilt_network

#: What such a file ends in.
SUFFIX = ".dpsim"


def export_for_kernels(
    path: str | os.PathLike[str], target: str | os.PathLike[str], *, dtype: str | None = None
) -> str:
    """Write a model file as flat arrays for the kernels (dp_sim/compiled/kernels/model_file.h).

    Parameters
    ----------
    path
        The model file: trained here or imported, as trained or compressed.
    target
        The file to write, which ends in .dpsim.
    dtype
        "float64" or "float32"; by default the precision of the file.

    Returns
    -------
    str
        One line that describes the model.

    Raises
    ------
    InputError
        The target ends otherwise, or the model has no compiled form.
    MissingPackageError
        dp-sim was installed without its compiled library, which lists the fields.
    """
    target = Path(target)
    if target.suffix != SUFFIX:
        raise InputError("target-suffix", f"cannot export to {target}: give a file name that ends in {SUFFIX}")
    model = load_model(path, dtype=dtype)
    content = kernel_content(model.module, model.metadata, str(path))
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    return summary(model.metadata, model.n_parameters)


def kernel_content(module: torch.jit.ScriptModule, metadata: ModelMetadata, name: str) -> bytes:
    """Lay out a model for the kernels, as the content of a file.

    Parameters
    ----------
    module
        The scripted potential.
    metadata
        Its metadata.
    name
        What messages and the file call it.

    Raises
    ------
    InputError, MissingPackageError
        As `export_for_kernels`.
    """
    from dp_sim import __version__

    reason = register_operators()
    if reason:
        raise MissingPackageError("operators-missing", f"the export needs dp-sim's compiled library: {reason}")
    network = Potential(rebuilt_network(module, metadata), metadata.cutoff)
    compiled = compile_potential(network, compiled_layout(network.model.descriptor))
    if compiled is None:
        raise InputError(
            "export-unsupported",
            f"{name} has no compiled form: the kernels have none for {_kind(metadata)}; models with the "
            f"descriptors deeppot-se and radial, and imported se_e2_a and se_e2_r, have one; DPA-1 whose types are a "
            f"factor (tebd_input_mode strip) has one after `dp-sim compress`",
        )
    packed = PackedModel(compiled.sizes, compiled.integers, compiled.doubles, compiled.numbers)
    origin = {"model": Path(name).name, "sha256": metadata.sha256, "dp-sim": __version__}
    return kernel_file(packed, _description(metadata, origin))


def _kind(metadata: ModelMetadata) -> str:
    """Name what the kernels lack: a descriptor, or the part of an imported model."""
    parts = metadata.config.get("parts") or ()
    kinds = {"DPA-1" if part.get("shared_sel") else part["kind"] for part in parts}
    return " + ".join(sorted(kinds)) or str(metadata.config.get("descriptor", "its descriptor"))


def _description(metadata: ModelMetadata, origin: dict[str, str]) -> Description:
    """Describe a model; a species that was trained on in lone atoms alone is not known among others."""
    trained = metadata.training.get("trained_species")
    lonely = metadata.training.get("lonely_species", ())
    return Description(
        metadata.species,
        [float(atomic_masses[atomic_numbers[symbol]]) for symbol in metadata.species],
        [(trained is None or symbol in trained) and symbol not in lonely for symbol in metadata.species],
        metadata.cutoff,
        origin,
    )
