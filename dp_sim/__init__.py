"""dp-sim: Deep Potentials trained on your data, run in ASE and OpenMM, with recipes that report error bars."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dp_sim.model.committee_writing import write_committee as write_committee
    from dp_sim.model.model_file import load_model as load_model
    from dp_sim.recipes.models.train import train as train  # noqa: TID251 (the front door; types only)

    __version__: str

__all__ = ["__version__", "load_model", "train", "write_committee"]

_HOMES = {
    "load_model": "dp_sim.model.model_file",
    "train": "dp_sim.recipes.models.train",
    "write_committee": "dp_sim.model.committee_writing",
}


def __dir__() -> list[str]:
    """Names for completion: what the package offers, and what importlib sets."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def __getattr__(name: str) -> Any:
    # By name and only on use: the package's front door may point at a recipe, the core behind it does not.
    # torch takes seconds to import; `dp-sim --help` should not
    if name == "__version__":
        from importlib.metadata import version  # takes a tenth of a second

        return version("dp-sim")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dp_sim' has no attribute '{name}'")
