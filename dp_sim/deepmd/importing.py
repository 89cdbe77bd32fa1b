"""Import a DeePMD-kit model file as a dp-sim model file."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from dp_sim.config.model import ModelConfig
from dp_sim.deepmd.convert import to_model
from dp_sim.deepmd.reading.content import ModelContent
from dp_sim.deepmd.reading.frozen import read_checkpoint, read_frozen
from dp_sim.deepmd.reading.serialized import parse, read_hdf5, read_yaml
from dp_sim.errors import InputError, ModelFileError, nearest_name
from dp_sim.model.model_file import save_model
from dp_sim.model.potential import DeepPotential

CONVERT = "convert it with deepmd-kit: dp convert-backend"


def read_deepmd(path: str | os.PathLike[str]) -> ModelContent:
    """Read the content of a `.dp`, `.yaml`, frozen `.pth` or checkpoint `.pt` of DeePMD-kit 3.

    Parameters
    ----------
    path
        The model file.

    Raises
    ------
    ModelFileError
        The file does not exist, is of another kind (the message says how to convert it), or holds what dp-sim does not
        support.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError("file-missing", f"there is no model file {path}; check the path")
    suffix = path.suffix.lower()
    if suffix == ".pb":
        raise ModelFileError(
            "deepmd-needs-conversion",
            f"{path} is a TensorFlow graph; {CONVERT} {path.name} model.dp (a graph of DeePMD-kit 1 first: "
            f"dp convert-from -i {path.name} -o new.pb)",
        )
    if suffix not in (".dp", ".yaml", ".yml", ".pth", ".pt"):
        raise ModelFileError(
            "deepmd-needs-conversion",
            f"{path}: dp-sim imports .dp, .yaml, .pth and .pt; {CONVERT} {path.name} model.dp",
        )
    hdf5 = h5py.is_hdf5(path)
    archive = zipfile.is_zipfile(path)
    if suffix == ".dp" and not hdf5:
        raise ModelFileError(
            "file-kind", f"{path} is no .dp file of DeePMD-kit, for it is no HDF5: truncated, or misnamed?"
        )
    if suffix == ".pth" and not archive:
        raise ModelFileError("file-kind", f"{path} is no frozen PyTorch model: truncated, or misnamed?")
    if suffix in (".yaml", ".yml") and (hdf5 or archive):
        raise ModelFileError(
            "file-kind", f"{path} is no YAML file but {'HDF5' if hdf5 else 'an archive'}; give it its own suffix"
        )
    if suffix == ".pt":
        _refuse_our_own(path)
        return read_checkpoint(path)
    if suffix == ".pth":
        return read_frozen(path)
    return parse(read_hdf5(path) if suffix == ".dp" else read_yaml(path), str(path))


def _refuse_our_own(path: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/dp_sim.json") for name in archive.namelist()):
                raise ModelFileError(
                    "model-not-deepmd", f"{path} is a model of dp-sim already; there is nothing to import"
                )


def elements(types: tuple[str, ...], given: tuple[str, ...], file: str) -> tuple[str, ...]:
    """Find the element symbols of the types of a file.

    Parameters
    ----------
    types
        Names in the file.
    given
        Symbols that the user names, in the order of the types; empty to take the names in the file.
    file
        Name of the file, for errors.

    Raises
    ------
    InputError
        A name is no element, an element occurs twice, or the number of names differs from the number of types.
    """
    from ase.data import chemical_symbols

    species = given or types
    listed = ", ".join(types)
    if len(species) != len(types):
        raise InputError(
            "species-count", f"{file} has the {len(types)} types {listed}; {len(species)} species were given: name each"
        )
    for symbol in species:
        if symbol not in chemical_symbols[1:]:
            raise InputError(
                "species-unknown",
                f"{file} has the types {listed}, and '{symbol}' is no element symbol; name their elements in this "
                f"order with --species{nearest_name(symbol, chemical_symbols[1:])}",
            )
    if len(set(species)) < len(species):
        raise InputError(
            "species-repeated", f"{file} has the types {listed}; dp-sim needs a different element for each of them"
        )
    return tuple(species)


def load_deepmd(
    path: str | os.PathLike[str], species: tuple[str, ...] = ()
) -> tuple[ModelConfig, DeepPotential, dict[str, Any]]:
    """Load a DeePMD-kit file.

    Parameters
    ----------
    path
        The model file.
    species
        Element symbols of its types; empty to take the names in the file.

    Returns
    -------
    ModelConfig
        Settings.
    DeepPotential
        The network.
    dict
        Origin of the model, for its metadata.

    Raises
    ------
    ModelFileError
        As `read_deepmd` and `to_model`.
    InputError
        As `elements`.
    """
    content = read_deepmd(path)
    config, model = to_model(content, elements(content.types, species, str(path)), str(path))
    for doubt in dict.fromkeys(_doubts(config)):
        warnings.warn(f"{path} {doubt}", stacklevel=2)
    return config, model, {"imported_from": Path(path).name, **content.origin}


def _doubts(config: ModelConfig) -> Iterator[str]:
    """List what a user should know of a model before trusting it."""
    for part in config.parts:
        if part.shifted and part.excluded:
            yield (
                "excludes pairs of species and has a mean: its energy jumps where such a neighbour crosses the cutoff, "
                "in DeePMD-kit and here"
            )
        if part.shifted and part.shared_sel and part.gates != "smooth":
            yield (
                "has a mean, and its type vectors reach empty slots: its energy depends on which atom comes first, in "
                "DeePMD-kit and here"
            )


def import_model(
    path: str | os.PathLike[str], target: str | os.PathLike[str], species: tuple[str, ...] = ()
) -> ModelConfig:
    """Read a DeePMD-kit model and write it as a dp-sim model file.

    Parameters
    ----------
    path
        The model file of DeePMD-kit.
    target
        The file to write.
    species
        Element symbols of its types; empty to take the names in the file.

    Raises
    ------
    ModelFileError, InputError
        As `load_deepmd`.
    """
    config, model, origin = load_deepmd(path, species)
    save_model(target, model, config, origin)
    return config
