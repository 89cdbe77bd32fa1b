"""The model file: one TorchScript archive with its metadata, and `load_model`, which opens it everywhere."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import vesin_torch  # noqa: F401 (registers the neighbour search that model files call)

from dp_sim.config.model import ModelConfig
from dp_sim.errors import InputError, ModelFileError, choose, first_line
from dp_sim.files import atomic_path
from dp_sim.model.committee.folder import CommitteeFolder, read_committee
from dp_sim.model.evaluator import Model
from dp_sim.model.integrity import METADATA, verified_metadata, with_checksums
from dp_sim.model.metadata import CHECKSUM_KEY, FORMAT, ModelMetadata, parse_metadata
from dp_sim.model.potential import DTYPES, DeepPotential, Potential, set_precision
from dp_sim.model.rebuilding import rebuilt_network
from dp_sim.model.upgrade import STATE_VERSION
from dp_sim.structures.devices import usable_device
from dp_sim.torchscript import from_bytes, script, to_bytes
from dp_sim.uncertainty.calibration import read_calibration
from dp_sim.uncertainty.last_layer import read_last_layer, uncertainty_file

#: What torch.jit.load raises for files that are incomplete or of another kind.
DAMAGED = (RuntimeError, ValueError, IndexError, MemoryError)
#: Suffixes of DeePMD-kit's models.
DEEPMD_SUFFIXES = (".dp", ".pth", ".pb", ".yaml", ".yml")
#: What stands for a model in every function: a file, the folder or the list of files of a committee, a loaded model.
ModelSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Model


def save_model(
    path: str | os.PathLike[str],
    model: DeepPotential,
    config: ModelConfig,
    training: dict[str, Any] | None = None,
    compression: dict[str, Any] | None = None,
) -> None:
    """Script a model and write it with its metadata and checksums, whole or not at all.

    Parameters
    ----------
    path
        File name, which ends in .pt.
    model
        The network.
    config
        Its settings.
    training
        What the file says of its training (ModelMetadata.training).
    compression
        What the file says of its compression (ModelMetadata.compression).

    Raises
    ------
    InputError
        The name does not end in .pt, or nothing can be written there.
    """
    from dp_sim import __version__

    if Path(path).suffix != ".pt":
        raise InputError("target-suffix", f"cannot write a model to {path}: give a file name that ends in .pt")
    metadata = {
        "format": FORMAT,
        "version": STATE_VERSION,
        "species": config.species,
        "cutoff": config.cutoff,
        "dtype": config.precision,
        "config": config.model_dump(mode="json"),
        "training": training or {},
        "compression": compression or {},
        "dp_sim_version": __version__,
        "torch_version": torch.__version__,
        CHECKSUM_KEY: "sha256",
    }
    frozen = copy.deepcopy(model).cpu().requires_grad_(False)
    scripted = script(Potential(frozen, config.cutoff).eval())
    content = to_bytes(scripted, {Path(METADATA).name: json.dumps(metadata).encode()})
    with atomic_path(path) as temporary:
        temporary.write_bytes(with_checksums(content))


def load_model(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    device: str | torch.device = "cpu",
    dtype: str | None = None,
) -> Model:
    """Open a model file, or several as a committee: a list of them, or the folder that holds them.

    Checksums and metadata are verified before torch loads the network.

    Parameters
    ----------
    path
        Model file, a list of them, or the folder of a committee (`dp-sim train --members`, `write_committee`).
    device
        Of torch, as "cpu" or "cuda:0".
    dtype
        "float32" or "float64" casts the weights; by default they stay as they were trained.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, edited, no dp-sim model, or of a newer version; the members of a committee
        differ in their species or cutoff; or a folder holds none, or a calibration of other members.
    InputError
        The device does not exist here, `dtype` is another, or `path` is no path.

    Warns
    -----
    UserWarning
        A file of an early version, without checksums.
    """
    paths, committee = _model_files(path)
    if dtype is not None:
        choose("dtype", dtype, tuple(DTYPES))
    where = usable_device(device)
    opened = [_load_one(p, where, dtype) for p in paths]
    members = [metadata for _, metadata in opened]
    for name, metadata in zip(paths, members, strict=True):
        if (metadata.species, metadata.cutoff) != (members[0].species, members[0].cutoff):
            raise ModelFileError(
                "committee-mismatch",
                f"{name} cannot join the committee of {paths[0]}: it has species {', '.join(metadata.species)} and "
                f"cutoff {metadata.cutoff}, expected {', '.join(members[0].species)} and {members[0].cutoff}; "
                "give members that were trained with the same species and cutoff",
            )
    folder = None if committee is None else committee.path
    calibration = None
    if committee is not None and committee.calibration is not None:
        calibration = read_calibration(committee.calibration, [metadata.sha256 for metadata in members])
    last_layer = None
    if len(paths) == 1 and (beside := uncertainty_file(paths[0])).is_file():
        last_layer = read_last_layer(beside, members[0].sha256, _features(members[0]))
    return Model(
        [module for module, _ in opened],
        members,
        str(device),
        [str(path) for path in paths],
        folder,
        calibration,
        last_layer,
    )


def _features(metadata: ModelMetadata) -> int:
    """Count the features of the last layer: of each species its width, and 1 for the bias."""
    config = ModelConfig.model_validate(metadata.config)
    return len(config.species) * (config.fitting[-1] + 1)


def as_model(model: ModelSource, *, device: str | None = None, dtype: str | None = None) -> Model:
    """Open a model file or a committee; return a loaded model as it is.

    Parameters
    ----------
    model
        File, list of files, folder of a committee, or loaded model.
    device, dtype
        For `load_model`; by default the CPU and the precision of the file.

    Raises
    ------
    InputError
        As from `load_model`; or a device or dtype was given for a loaded model, which has its own.
    """
    if not isinstance(model, Model):
        return load_model(model, device=device or "cpu", dtype=dtype)
    if device is not None or dtype is not None:
        raise InputError(
            "option-not-for-loaded-models",
            "device and dtype belong to a model file; give them to load_model(...) for a loaded model",
        )
    return model


def _model_files(path: Any) -> tuple[list[Path], CommitteeFolder | None]:
    """List the files to open; and the committee, where they are named by its folder."""
    paths = [path] if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(paths, Sequence) or isinstance(paths, bytes):
        raise InputError(
            "model-invalid",
            f"a model must be a model file, a list of them or the folder of a committee, got {path!r}; give the path",
        )
    if not paths:
        raise ModelFileError("model-missing", "no model file given; expected one, or several for a committee")
    for one in paths:
        if not isinstance(one, (str, os.PathLike)):
            raise InputError(
                "model-invalid", f"the members of a committee must be model files, got {one!r}; give the path of each"
            )
    given = [Path(one) for one in paths]
    folders = [one for one in given if one.is_dir()]
    if not folders:
        return given, None
    if len(given) > 1:
        raise ModelFileError(
            "committee-among-files",
            f"{folders[0]} is the folder of a whole committee, and stands beside {len(given) - 1} more; give it alone, "
            "or the model files of all members",
        )
    committee = read_committee(folders[0])
    return list(committee.members), committee


def read_metadata(path: Path) -> ModelMetadata:
    """Read the metadata of a model file, which is verified as by `load_model`."""
    return _load_one(path, torch.device("cpu"), None)[1]


def _load_one(path: Path, device: torch.device, dtype: str | None) -> tuple[torch.jit.ScriptModule, ModelMetadata]:
    if not path.is_file():
        raise ModelFileError("file-missing", f"there is no model file {path}; check the path")
    hint = "; is it a model of DeePMD-kit? `dp-sim import` opens those" if path.suffix in DEEPMD_SUFFIXES else ""
    content = path.read_bytes()
    text, has_checksums = verified_metadata(content, path, hint)
    digest = hashlib.sha256(content).hexdigest()
    metadata = parse_metadata(text, path, sha256=digest, has_checksums=has_checksums)
    if not has_checksums:
        warnings.warn(
            f"{path} has no checksums (dp-sim {metadata.dp_sim_version} wrote it): damage is found, edits are not",
            stacklevel=2,
        )
    try:
        module = from_bytes(content, device)
    except DAMAGED as error:
        raise ModelFileError(
            "file-damaged",
            f"{path} holds no model that torch can load: {first_line(error)}; copy it again from where it came from",
        ) from None
    _check_network(module, metadata, path)
    if dtype is not None:
        set_precision(module, DTYPES[dtype])
        metadata = dataclasses.replace(metadata, dtype=dtype)
    return module.eval(), metadata


def _check_network(module: torch.jit.ScriptModule, metadata: ModelMetadata, path: Path) -> None:
    """Refuse a network that is not the one of its metadata: other shapes, cutoff or precision, numbers not finite."""
    try:
        rebuilt_network(module, metadata)
        cutoff = module.search.cutoff
    except (RuntimeError, LookupError, AttributeError, AssertionError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise _other_network(
            path, "config", "the settings of its network", lines[-1] if lines else repr(error)
        ) from None
    if cutoff != metadata.cutoff:
        raise _other_network(path, "cutoff", f"{cutoff} as in its network", str(metadata.cutoff))
    for name, value in module.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise _other_network(path, name, "finite numbers", "NaN or infinity")
    for name, parameter in module.named_parameters():
        if parameter.dtype != DTYPES[metadata.dtype]:
            raise _other_network(path, "dtype", f"{parameter.dtype} as of its weights {name}", metadata.dtype)


def _other_network(path: Path, field: str, expected: str, got: str) -> ModelFileError:
    return ModelFileError(
        "model-metadata",
        f"{path}: {field}: expected {expected}, got {got}; the metadata and the network do not belong together: "
        "copy the file again from where it came from",
    )
