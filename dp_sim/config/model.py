"""Settings of a model: its descriptor and its networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from dp_sim.config.section import Section, refuse_keys_of_others, without_keys_of_others
from dp_sim.errors import nearest_name

#: The descriptors in local frames (dp_sim.descriptors.local_frame); the others are smooth.
LOCAL_FRAME_DESCRIPTORS = ("local-frame", "deep-potential")
#: Keys of ModelConfig that only some descriptors have.
_SMOOTH_KEYS = ("switch_start", "switch", "embedding", "axis_width", "one_side", "angular_weight")
_OWN_KEYS = {
    "deeppot-se": _SMOOTH_KEYS,
    "radial": _SMOOTH_KEYS,
    "local-frame": ("angular_neighbors", "radial_neighbors", "axes"),
    "deep-potential": ("angular_neighbors", "axes"),
    "deepmd-kit": ("parts",),
}
#: Angstrom. Pairs grow with its cube; potentials of this kind have 3 to 12.
LONGEST_CUTOFF = 100.0
#: The network of the DeePMD paper.
LOCAL_FRAME_FITTING = (240, 120, 60, 30, 10)
NeighborCount = Annotated[int, Field(ge=0)]
#: Twice differentiable activations, so that forces are smooth; imported models may have others
#: (dp_sim.networks.activations).
SMOOTH_ACTIVATIONS = ("tanh", "gelu", "silu", "softplus", "sigmoid")


class DeepmdPart(Section):
    """One descriptor of an imported DeePMD-kit model (dp_sim.deepmd); pairs of species are indices, centre first."""

    kind: Literal["se_e2_a", "se_e2_r", "se_e3"]
    cutoff: float = Field(gt=0, le=LONGEST_CUTOFF)
    switch_start: float = Field(ge=0)
    embedding: tuple[PositiveInt, ...]
    axis_width: PositiveInt = 1
    one_side: bool = True
    residual_timestep: bool = Field(False, description="in the embedding nets")
    activation: str = "tanh"
    sel: tuple[int, ...] = Field(description="as in DeePMD-kit: slots for neighbours of each species")
    shared_sel: bool = Field(False, description="sel is one number, of slots for neighbours of all species together")
    gates: Literal["none", "constant", "smooth"] = Field(
        "none", description="a factor 1 + g for each pair of species on one net; smooth: the switch multiplies g"
    )
    excluded: tuple[tuple[int, int], ...] = Field((), description="pairs that see nothing, but take a slot")
    dropped: tuple[tuple[int, int], ...] = Field((), description="pairs that are no neighbours")
    protection: float = Field(0.0, ge=0, description="added to r in 1/r, Angstrom")
    shifted: bool = Field(False, description="rows of R~ are shifted by a mean, so padding contributes")


class ModelConfig(Section):
    """Descriptor and networks; keys that belong to another descriptor are refused, and are not saved."""

    descriptor: Literal["deeppot-se", "radial", "local-frame", "deep-potential", "deepmd-kit"] = Field(
        "deeppot-se", description="what an atom sees of its neighbours; deepmd-kit: of an imported model"
    )
    species: tuple[str, ...] = Field(
        (), description="element symbols; empty: all elements of the data, by atomic number"
    )
    cutoff: float = Field(6.0, gt=0, le=LONGEST_CUTOFF, description="cutoff radius r_c, Angstrom")
    switch_start: float = Field(0.5, ge=0, description="where s(r) leaves 1/r, r_cs, Angstrom")
    switch: Literal["polynomial", "cosine"] = Field("polynomial", description="cosine: eq. 9; polynomial: DeePMD-kit's")
    embedding: tuple[PositiveInt, ...] = Field(
        (25, 50, 100), description="widths of the embedding nets; the last is M1"
    )
    axis_width: PositiveInt = Field(16, description="M2, the columns of G that form the axis filters")
    one_side: bool = Field(
        True, description="one embedding net per neighbour species instead of one per pair of species"
    )
    angular_neighbors: NeighborCount | dict[str, NeighborCount] = Field(
        16, description="local frames: nearest neighbours of each species that have all four inputs"
    )
    radial_neighbors: NeighborCount | dict[str, NeighborCount] = Field(
        16, description="local-frame: neighbours of each species farther out that have 1/R alone"
    )
    axes: dict[str, tuple[str, str]] = Field(
        {}, description="local frames: species of the neighbours a and b, by that of the atom; else the two nearest"
    )
    fitting: tuple[PositiveInt, ...] = Field(
        (240, 240, 240), description="widths of the fitting nets; with local frames by default 240 120 60 30 10"
    )
    angular_weight: PositiveFloat = Field(1.0, description="of the columns x, y, z of R~ against s; molecules like 2")
    residual_timestep: bool = Field(False, description="a trained step on the skip connections of the fitting nets")
    activation: str = Field("tanh", description="in all hidden layers")
    parts: tuple[DeepmdPart, ...] = Field((), description="of the descriptor deepmd-kit, side by side")
    precision: Literal["float32", "float64"] = Field(
        "float32", description="of weights and training; energies sum in float64"
    )

    @field_validator("species")
    @classmethod
    def _elements(cls, species: tuple[str, ...]) -> tuple[str, ...]:
        from ase.data import chemical_symbols

        for symbol in species:
            if symbol not in chemical_symbols[1:]:
                raise ValueError(f"'{symbol}' is no element symbol{nearest_name(symbol, chemical_symbols[1:])}")
        if len(set(species)) < len(species):
            raise ValueError("every element must be named once only")
        return species

    @field_validator("activation")
    @classmethod
    def _smooth_activation(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("descriptor") != "deepmd-kit" and name not in SMOOTH_ACTIVATIONS:
            known = ", ".join(f"'{known}'" for known in SMOOTH_ACTIVATIONS)
            raise ValueError(f"expected one of {known}{nearest_name(name, SMOOTH_ACTIVATIONS)}")
        return name

    @field_validator("angular_neighbors", "radial_neighbors", mode="before")
    @classmethod
    def _one_number_or_one_each(cls, numbers: Any) -> Any:
        each = numbers.values() if isinstance(numbers, dict) else [numbers]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in each):
            raise ValueError("expected a whole number, or one for each species like {H: 4, O: 2}")
        return numbers

    @field_validator("axes", mode="before")
    @classmethod
    def _two_for_each(cls, axes: Any) -> Any:
        pairs = axes.values() if isinstance(axes, dict) else [axes]
        if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            raise ValueError("expected two species for each, like {O: [H, H], H: [O, H]}")
        return axes

    @model_validator(mode="before")
    @classmethod
    def _network_of_the_paper(cls, settings: Any) -> Any:
        frames = isinstance(settings, dict) and settings.get("descriptor") in LOCAL_FRAME_DESCRIPTORS
        return {"fitting": LOCAL_FRAME_FITTING, **settings} if frames else settings

    @model_validator(mode="after")
    def _keys_of_the_descriptor(self) -> ModelConfig:
        refuse_keys_of_others(self, "descriptor", _OWN_KEYS)
        return self

    @model_validator(mode="after")
    def _species_of_the_frames(self) -> ModelConfig:
        for key in ("angular_neighbors", "radial_neighbors"):
            numbers = getattr(self, key)
            if isinstance(numbers, dict) and set(numbers) != set(self.species):
                raise ValueError(
                    f"{key} names {', '.join(numbers) or 'no species'}; it must name each of species, which is "
                    f"{', '.join(self.species) or 'empty'}, or be one number for all"
                )
        named = {symbol for center, pair in self.axes.items() for symbol in (center, *pair)}
        if not named <= set(self.species):
            raise ValueError(
                f"axes names {', '.join(sorted(named - set(self.species)))}, which is not in species "
                f"({', '.join(self.species) or 'empty'}); add it there"
            )
        return self

    @model_serializer(mode="wrap")
    def _only_own_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_keys_of_others(handler(self), self.descriptor, _OWN_KEYS)

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if (self.descriptor == "deepmd-kit") != bool(self.parts):
            raise ValueError("parts and descriptor deepmd-kit belong together; dp-sim import writes both")
        if self.descriptor in (*LOCAL_FRAME_DESCRIPTORS, "deepmd-kit"):
            if not self.fitting:
                raise ValueError("fitting needs at least one width")
            return self
        if self.switch_start >= self.cutoff:
            raise ValueError(f"switch_start ({self.switch_start}) must be smaller than cutoff ({self.cutoff})")
        if not self.embedding or not self.fitting:
            raise ValueError("embedding and fitting need at least one width each")
        if self.descriptor == "deeppot-se" and self.axis_width > self.embedding[-1]:
            raise ValueError(
                f"axis_width ({self.axis_width}) must not exceed the last embedding width ({self.embedding[-1]})"
            )
        return self
