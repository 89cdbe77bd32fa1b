"""The commands, one a module; COMMANDS lists them in the order of the help."""

from dp_sim.cli.support.on_demand import Listed

START = "Start here"
MODELS = "Models"
STATIC = "Structures and vibrations"
CRYSTALS = "Crystals"
DYNAMICS = "Dynamics"
PATHS = "Reaction paths"
REPORTS = "Reports"

#: The summary is the first paragraph of the command's own help, which a test compares.
COMMANDS = (
    Listed(
        "runs.demo",
        START,
        "Train on the shipped water data, relax and vibrate a molecule, run the liquid in OpenMM; one HTML page.",
    ),
    Listed(
        "models.train",
        MODELS,
        "Train a Deep Potential, or a committee, on labelled structures "
        "(without -o into a directory named like INPUT).",
    ),
    Listed(
        "models.test",
        MODELS,
        "Measure MAE and RMSE of energy per atom, forces and virial on labelled data, with a parity plot.",
    ),
    Listed(
        "models.calibrate",
        MODELS,
        "Measure on held-out frames what the spread of a committee is worth, or the uncertainty of one model; keep it.",
    ),
    Listed(
        "models.eval", MODELS, "Compute energy, forces and stress of one structure; with several models their spread."
    ),
    Listed(
        "models.info",
        MODELS,
        "Show what is in a model file (species, networks, training) or in data (labels, neighbours, first settings).",
    ),
    Listed(
        "exchange.import_",
        MODELS,
        "Make a dp-sim model of a DeePMD-kit model, with the same numbers; deepmd-kit is not needed.",
        name="import",
    ),
    Listed("exchange.export", MODELS, "Write a model in the form of another program, with the same numbers."),
    Listed(
        "exchange.compress",
        MODELS,
        "Replace embedding nets by tables: the same numbers, several times faster. The result cannot be trained.",
    ),
    Listed(
        "exchange.lammps",
        MODELS,
        "Compile pair_style dp_sim for the LAMMPS of this environment, or for one of your own.",
    ),
    Listed(
        "runs.bench",
        MODELS,
        "Measure the time per atom and step of a model, its parts and its memory, "
        "beside the machine's arithmetic rate.",
    ),
    Listed("models.label", MODELS, "Label structures with energy, forces and stress from a reference calculator."),
    Listed(
        "static.opt",
        STATIC,
        "Relax the positions, and the cell if asked, until forces and stress are below their bounds.",
    ),
    Listed(
        "static.vib",
        STATIC,
        "Compute normal modes: minimum or saddle point, frequencies, infrared spectrum, thermochemistry.",
    ),
    Listed(
        "crystals.phonons",
        CRYSTALS,
        "Compute phonons of a crystal: bands, density of states, free energy, entropy and heat capacity.",
    ),
    Listed(
        "crystals.eos",
        CRYSTALS,
        "Compute the equation of state of a crystal: energy against volume, bulk modulus and its derivative.",
    ),
    Listed(
        "crystals.elastic",
        CRYSTALS,
        "Compute elastic constants of a crystal from stresses under small strains, "
        "atoms relaxed; moduli and stability.",
    ),
    Listed("dynamics.nve", DYNAMICS, "Run dynamics at constant energy, and measure the drift of the total energy."),
    Listed("dynamics.nvt", DYNAMICS, "Run dynamics at constant volume and temperature: heat capacity, pressure."),
    Listed(
        "dynamics.npt",
        DYNAMICS,
        "Run dynamics at constant pressure and temperature: density, compressibility, expansion, heat capacity.",
    ),
    Listed(
        "dynamics.learn",
        DYNAMICS,
        "Run dynamics or a search with a committee; where it is unsure, label structures, train the members, go on.",
    ),
    Listed(
        "dynamics.analyse",
        DYNAMICS,
        "Compute structure and transport from a finished run, of dp-sim or of another program.",
        spelling="analyze",
    ),
    Listed(
        "paths.neb",
        PATHS,
        "Find the minimum-energy path between two structures and its barrier: nudged elastic band, climbing image.",
    ),
    Listed("paths.ts", PATHS, "Find the saddle point near a guess, and its normal modes."),
    Listed("paths.irc", PATHS, "Follow the reaction coordinate from a saddle point down to the minima on both sides."),
    Listed(
        "paths.rate",
        PATHS,
        "From two structures to a rate constant with a verdict: path, transition state, reaction coordinate, rate.",
    ),
    Listed(
        "runs.campaign",
        REPORTS,
        "Run many tasks from a plan: recipes, labels and trainings, on this machine, a Dask cluster or Slurm.",
    ),
    Listed("runs.report", REPORTS, "Write the page of a run again; of several runs, one page that compares them."),
)
