"""Settings of the recipes on crystals."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.temperatures import check_temperatures


class CrystalSettings(RecipeSettings):
    """What every recipe on a crystal asks: its symmetry, and whether it is relaxed."""

    symprec_A: float = setting(
        0.01,
        "Farthest that an atom may be from where symmetry puts it",
        unit="Å",
        gt=0,
        le=0.5,
        flags=("--symprec",),
        detail="Atoms and cell are moved onto the symmetry found; the result says how far.",
    )
    fmax: float = setting(0.01, "Largest force of a relaxed structure", unit="eV/Å", gt=0)
    relax: bool = setting(False, "Relax the positions first, to a tenth of fmax")
    cell: bool = setting(False, "Relax the cell too; with relax")

    @model_validator(mode="after")
    def _cell_needs_relax(self) -> Self:
        if self.cell and not self.relax:
            raise InputError(
                "cell-without-relax", "cell=True relaxes the cell with the positions; set relax to true too"
            )
        return self


class PhononSettings(CrystalSettings):
    """Compute phonons of a crystal: bands, density of states, free energy, entropy and heat capacity."""

    recipe: ClassVar[str] = "phonons"
    function: ClassVar[str] = "dp_sim.recipes.crystals.phonons:phonons"

    isotopes: tuple[str, ...] = setting(
        (),
        "Isotopes: element or index of an atom, and name or mass",
        flags=("--isotope",),
        metavar="H=D|3=13C|O=17.999",
        may_change=True,
        detail="Masses in amu, indices from 0; later ones override earlier ones.",
    )
    supercell: str | None = setting(
        None,
        "Multiples of the conventional cell: 3, 3x3x2, or nine numbers of a matrix; by default as length_A asks",
        metavar="N|NxNxN",
    )
    length_A: float | None = setting(
        None,
        "Smallest height of the supercell; twice the cutoff of a Deep Potential, else 12, if not given",
        unit="Å",
        gt=0,
        flags=("--length",),
    )
    hessian: str = setting(
        "auto",
        "How force constants are computed: exactly, or by differences of the forces",
        choices=("auto", "exact", "differences"),
        detail="auto: exact for a Deep Potential; `force_constants_source` of the result says which. exact takes any "
        "calculator with `get_hessian(atoms)`.",
    )
    delta: float = setting(0.01, "Displacement of the differences", unit="Å", ge=1e-4, le=0.2)
    points: int = setting(101, "Wave vectors on the longest stretch of the path", ge=2, le=2001, may_change=True)
    mesh_A: float = setting(
        100.0,
        "Length that sets the mesh of wave vectors: along each axis its product with the reciprocal vector",
        unit="Å",
        gt=0,
        le=2000,
        flags=("--mesh",),
        may_change=True,
    )
    temperature_min_K: float = setting(
        0.0, "First temperature of the table", unit="K", ge=0, flags=("--temperature-min",), may_change=True
    )
    temperature_max_K: float = setting(
        1000.0,
        "Last temperature of the table; 298.15 K is in it too",
        unit="K",
        gt=0,
        flags=("--temperature-max",),
        may_change=True,
    )
    temperature_step_K: float = setting(
        20.0, "Step between temperatures", unit="K", ge=0.1, flags=("--temperature-step",), may_change=True
    )

    gruneisen: bool = setting(
        False,
        "Grüneisen parameters, from volumes 1 % smaller and larger; costs two more sets of force constants",
        may_change=True,
    )
    qha: bool = setting(
        False,
        "Quasi-harmonic expansion: volume, bulk modulus and heat capacity at zero pressure against temperature",
        may_change=True,
        detail="Costs a set of force constants for each volume.",
    )
    volumes: int = setting(9, "Number of volumes of the expansion; with qha", ge=5, le=51, may_change=True)
    volume_min: float = setting(
        0.96, "Smallest of these volumes, as a multiple of the crystal's", gt=0.5, lt=1, may_change=True
    )
    volume_max: float = setting(
        1.08, "Largest of these volumes, as a multiple of the crystal's", gt=1, lt=2, may_change=True
    )

    @model_validator(mode="after")
    def _volumes_need_qha(self) -> Self:
        for name in ("volumes", "volume_min", "volume_max"):
            if not self.qha and getattr(self, name) != type(self).model_fields[name].default:
                raise InputError(
                    "volumes-without-qha",
                    f"{name} belongs to the quasi-harmonic expansion; set qha to true, or leave it out",
                )
        return self

    @model_validator(mode="after")
    def _one_supercell(self) -> Self:
        if self.supercell is not None and self.length_A is not None:
            raise InputError("supercell-twice", "supercell and length_A both say how large the supercell is; give one")
        check_temperatures(self.temperature_min_K, self.temperature_max_K, self.temperature_step_K)
        return self


class EosSettings(CrystalSettings):
    """Compute the equation of state of a crystal: energy against volume, bulk modulus and its derivative."""

    recipe: ClassVar[str] = "eos"
    function: ClassVar[str] = "dp_sim.recipes.crystals.eos:equation_of_state"
    resumable: ClassVar[bool] = False

    volumes: int = setting(11, "Number of volumes", ge=6, le=101)
    volume_range: float = setting(
        0.06, "Largest change of the volume to either side, as a share of it", gt=0, le=0.5, flags=("--range",)
    )


class ElasticSettings(CrystalSettings):
    """Compute elastic constants of a crystal from stresses under small strains, atoms relaxed; moduli and stability."""

    recipe: ClassVar[str] = "elastic"
    function: ClassVar[str] = "dp_sim.recipes.crystals.elastic:elastic_constants"
    resumable: ClassVar[bool] = False

    strain: float = setting(
        0.005,
        "Largest strain",
        ge=1e-5,
        le=0.05,
        detail="Shear strains are twice the tensor's. Even and cubic terms of the stress are fitted and taken out.",
    )
    steps: int = setting(2, "Sizes of each strain, of either sign", ge=2, le=10)
    inner_fmax: float = setting(1e-4, "Largest force left on the atoms of a strained crystal", unit="eV/Å", gt=0)
