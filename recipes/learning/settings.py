"""Settings of learning on the fly."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import setting
from dp_sim.errors import InputError
from dp_sim.recipes.run.worker_settings import WorkerSettings

#: The upper limit in thresholds, where none is given.
UPPER_IN_THRESHOLDS = 10.0


class LearnSettings(WorkerSettings):
    """Run dynamics or a search with a committee; where it is unsure, label structures, train the members, go on."""

    recipe: ClassVar[str] = "learn"
    function: ClassVar[str] = "dp_sim.recipes.learning.learn:learn"

    threshold: float = setting(
        ...,
        "Uncertainty of the force on any atom above which a structure is labelled",
        unit="eV/Å",
        gt=0,
        detail="The length of the vector of standard deviations over the members (ddof=1), times what it is worth: the "
        "factor of their calibration, and from 5 labels on that of the errors at the latest labels.",
    )
    along: str = setting(
        "dynamics",
        "What is run with the committee",
        choices=("dynamics", "opt", "neb", "ts"),
        detail="The others are run whole, with their own defaults, and again after each training, until no structure "
        "on their way is above the threshold.",
    )
    along_settings: str | None = setting(
        None, "Settings of opt, neb or ts, as for their --config", metavar="FILE.yaml", is_path=True
    )
    temperature_K: float | None = setting(
        None,
        "Temperature of dynamics, which must be given for it; of the first set 300 if not given",
        unit="K",
        flags=("--temperature", "-T"),
        gt=0,
        detail="Of the thermostat; for ensemble nve, that at which the velocities are drawn.",
    )
    steps: int | None = setting(
        None,
        "Time steps of dynamics in all, earlier sessions included; they must be given for it",
        ge=1,
        may_change=True,
    )
    upper: float | None = setting(
        None,
        "Uncertainty above which a structure is not trusted; ten times the threshold if not given",
        unit="eV/Å",
        gt=0,
        detail="The run goes back then, and labels structures on the way there.",
    )
    max_force_eV_A: float | None = setting(
        None,
        "Force on an atom above which a label is left out of the data; if not given 30, or twice the largest force in "
        "`data`",
        unit="eV/Å",
        flags=("--max-force",),
        gt=0,
        detail="The run goes back then, as above `upper`, and so it does where atoms run into each other.",
    )
    ensemble: str = setting("nvt", "What is kept constant beside the volume", choices=("nvt", "nve"))
    dynamics_engine: str = setting(
        "ase",
        "What moves the atoms",
        choices=("ase", "openmm"),
        detail="In OpenMM the uncertainty takes one evaluation more at each look.",
    )
    timestep_fs: float | None = setting(
        None, "Time step; chosen by the lightest atom if not given", unit="fs", flags=("--timestep",), gt=0
    )
    friction_per_ps: float | None = setting(
        None,
        "Friction of the Langevin thermostat of nvt; 5 if not given",
        unit="1/ps",
        flags=("--friction",),
        gt=0,
    )
    look_every: int = setting(5, "Steps between two looks at the uncertainty", ge=1)
    frame_every: int = setting(
        100,
        "Steps between frames of the trajectory, which a killed run goes on from",
        ge=1,
        detail="A multiple of `look_every`.",
    )
    picks: int = setting(
        5,
        "Structures to label at a pause, at most",
        ge=1,
        detail="The least certain one, and those farthest from it and from all labelled ones in descriptors. In "
        "dynamics they are sought for some time ahead of the first unsure one, and the run goes on from the last of "
        "them; from the first where it passes `upper` on the way.",
    )
    apart_fs: float = setting(
        100.0,
        "Least time between two structures to label",
        unit="fs",
        flags=("--apart",),
        ge=0,
        detail="Structures much closer teach nearly the same; the time costs evaluations of the committee alone. Above "
        "`upper` the run goes back whenever that is.",
    )
    min_distance: float = setting(
        0.0,
        "Least distance of a structure from all labelled ones, relative, in the space of descriptors; 0: any",
        ge=0,
        detail="Of the atom whose surroundings are newest: norm(D_i - D_j) / norm(D_j) to the nearest atom j of its "
        "element, D being the descriptor of the first member.",
    )
    max_labels: int = setting(200, "Labels that may be computed, failed ones included", ge=1, may_change=True)
    max_hours: float | None = setting(
        None, "Working time after which no label is begun, earlier sessions included", unit="h", gt=0, may_change=True
    )
    quiet_ps: float | None = setting(
        None,
        "End when nothing had to be labelled for so long; not if not given",
        unit="ps",
        flags=("--quiet-time",),
        gt=0,
        may_change=True,
    )
    label_minutes: float | None = setting(
        None,
        "Time limit of one label; none if not given",
        unit="min",
        gt=0,
        may_change=True,
        detail="The calculator runs in a process of its own, which is killed then.",
    )
    label_retries: int = setting(0, "How often a failed label is tried again before it is skipped", ge=0)
    data: tuple[str, ...] = setting(
        (),
        "Labelled structures that are trained on too: those that the members were made from",
        metavar="FILE",
        is_path=True,
        detail="Without them the members may forget what they knew.",
    )
    train: str | None = setting(
        None,
        "Settings of training for members that are made here, from no model",
        metavar="FILE.yaml",
        is_path=True,
        detail="As for `dp-sim train`; its data may be left out, and are trained on where they are not.",
    )
    members: int = setting(4, "Number of members that are made here", ge=2)
    first: int = setting(
        20,
        "Structures of the first set of members that are made here",
        ge=4,
        detail="The start, one half with displaced atoms, one half from short dynamics with the label calculator.",
    )
    displacement_A: float = setting(
        0.1, "Standard deviation of the first set's displacements", unit="Å", flags=("--displacement",), gt=0
    )
    train_steps: int = setting(1000, "Training steps of each retraining", ge=1)
    learning_rate: float | None = setting(
        None, "Learning rate at the start of each retraining; a tenth of the members' own if not given", gt=0
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        """Ask for what dynamics needs, and refuse it for what has no time."""
        if self.along == "dynamics":
            for name, flag in (("temperature_K", "-T"), ("steps", "--steps")):
                if getattr(self, name) is None:
                    raise InputError("setting-missing", f"dynamics needs {name} ({flag}); give it, or another `along`")
            if self.along_settings is not None:
                raise InputError(
                    "setting-not-for-along", "along_settings are those of opt, neb or ts; leave them out for dynamics"
                )
            return self
        for name in (
            "steps",
            "ensemble",
            "dynamics_engine",
            "timestep_fs",
            "friction_per_ps",
            "look_every",
            "apart_fs",
            "quiet_ps",
        ):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise InputError(
                    "setting-not-for-along",
                    f"{name} is of dynamics, and `along` is {self.along}; leave it out"
                    + (", or set it in along_settings" if name == "steps" else ""),
                )
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.upper is not None and self.upper <= self.threshold:
            raise InputError(
                "setting-out-of-range",
                f"upper must be above threshold ({self.threshold:g} eV/Å), got {self.upper:g}; raise it, or leave "
                "it out",
            )
        if self.frame_every % self.look_every:
            raise InputError(
                "setting-out-of-range",
                f"frame_every must be a multiple of look_every, got {self.frame_every} and {self.look_every}",
            )
        if self.ensemble == "nve" and self.friction_per_ps is not None:
            raise InputError(
                "option-not-for-thermostat",
                "friction_per_ps is of the thermostat, and ensemble nve has none; leave it out",
            )
        return self

    @property
    def upper_limit(self) -> float:
        """The upper limit as used, eV/Angstrom."""
        return UPPER_IN_THRESHOLDS * self.threshold if self.upper is None else self.upper
