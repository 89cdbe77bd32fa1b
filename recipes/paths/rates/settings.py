"""Settings of rate constants."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.recipes.inputs.temperatures import check_temperatures
from dp_sim.recipes.static.settings import THERMO_METHODS

#: Ways to count tunnelling; see `dp_sim.recipes.paths.rates.theory.tunnelling`.
TUNNELLING = ("auto", "none", "wigner", "eckart")
#: What a member of a committee finds for itself.
MEMBERS = ("stationary", "path", "none")
#: What reacts.
MOLECULARITIES = ("auto", "unimolecular", "bimolecular")


class TheorySettings(RecipeSettings):
    """What a rate constant is computed by, and what it must obey to be believed."""

    temperature_K: float = setting(
        300.0, "Temperature of the rate constant", unit="K", gt=0, flags=("-T", "--temperature"), may_change=True
    )
    temperature_min_K: float = setting(
        200.0, "First temperature of its table and fits", unit="K", gt=0, flags=("--temperature-min",), may_change=True
    )
    temperature_max_K: float = setting(
        1000.0, "Last temperature of its table and fits", unit="K", gt=0, flags=("--temperature-max",), may_change=True
    )
    temperature_step_K: float = setting(
        50.0, "Step between its temperatures", unit="K", ge=0.1, flags=("--temperature-step",), may_change=True
    )
    pressure_bar: float = setting(
        1.0,
        "Pressure at which free energies of gases are stated",
        unit="bar",
        gt=0,
        flags=("--pressure",),
        may_change=True,
        detail="Rate constants do not depend on it.",
    )
    thermo: str = setting(
        "auto",
        "Partition functions",
        choices=THERMO_METHODS,
        may_change=True,
        detail="As in vibrations. auto: ideal-gas if all structures move and turn freely, else harmonic for all.",
    )
    tunnelling: str = setting(
        "auto",
        "Tunnelling correction",
        choices=TUNNELLING,
        may_change=True,
        detail="auto: eckart where the product is known, else wigner.",
    )
    molecularity: str = setting(
        "auto",
        "How many molecules react",
        choices=MOLECULARITIES,
        detail="auto: as many as structures are given for the reactant; a complex of fragments that touch is one. "
        "unimolecular refuses it. bimolecular takes the two fragments of the reactant apart.",
    )
    path_degeneracy: float | None = setting(
        None,
        "Reaction-path degeneracy; found from the symmetry numbers and mirror images if not given",
        gt=0,
        may_change=True,
    )
    spin_multiplicity: int | None = setting(
        None,
        "Spin multiplicity 2 S + 1 of every structure; stated or the lowest if not given",
        ge=1,
        may_change=True,
    )
    isotopes: tuple[str, ...] = setting(
        (),
        "Isotopes of the kinetic isotope effect: element or index of an atom, and name or mass",
        flags=("--isotope",),
        metavar="H=D|3=13C|O=17.999",
        may_change=True,
        detail="The rate constant of the masses of the structures is divided by that of these.",
    )
    members: str = setting(
        "stationary",
        "What each member of a committee finds anew for the error bars",
        choices=MEMBERS,
        may_change=True,
        detail="stationary: minima, saddle point and Hessians. path: the whole path from end to end first.",
    )
    trust_eV_A: float = setting(
        0.15,
        "Spread of a committee's forces beyond which it does not know the path",
        unit="eV/Å",
        gt=0,
        flags=("--trust",),
        may_change=True,
        detail="Standard deviation on one atom.",
    )
    trust_log10: float = setting(
        1.0, "Spread of a committee's log10 of the rate constant beyond which it is not known", gt=0, may_change=True
    )
    fmax: float = setting(
        0.02, "Largest force of a stationary point", unit="eV/Å", gt=0, may_change=True, detail="As in vibrations."
    )

    @model_validator(mode="after")
    def _temperatures_rise(self) -> Self:
        check_temperatures(self.temperature_min_K, self.temperature_max_K, self.temperature_step_K)
        return self


class RateConstantSettings(TheorySettings):
    """Compute a rate constant from reactant and transition state, and check that one leads to the other."""

    recipe: ClassVar[str] = "rate-constant"
    function: ClassVar[str] = "dp_sim.recipes.paths.rates.rate_constant:rate_constant"
    resumable: ClassVar[bool] = False

    relax: bool = setting(True, "Relax reactant and product first")
    follow_path: bool = setting(
        True, "Follow the reaction coordinate where none is given", detail="Without it the verdict is FAIL."
    )


class RateSettings(TheorySettings):
    """From two structures to a rate constant with a verdict: path, transition state, reaction coordinate, rate."""

    recipe: ClassVar[str] = "rate"
    function: ClassVar[str] = "dp_sim.recipes.paths.rates.rate:reaction_rate"

    images: int | None = setting(
        None, "Structures on the path, both ends included; as dp-sim neb takes them if not given", ge=3
    )
    match_atoms: bool = setting(
        False,
        "Relabel like atoms of the product, so that the fewest bonds change and atoms move least",
        detail="As dp-sim neb does.",
    )
