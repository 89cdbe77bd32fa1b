"""The data of a training run, read and looked at before the first step."""

from __future__ import annotations

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.findings import FindingCollector, bond_share, refuse, trained_on_too
from dp_sim.recipes.run.progress import Bar
from dp_sim.training.data import Datasets, read_datasets
from dp_sim.training.trainer import Trainer
from dp_sim.training.warm_start import start_network


def prepare(config: TrainConfig, *, strict: bool, bar: Bar) -> tuple[Trainer, Datasets]:
    """Read the data, make the trainer, and add to the remarks on the data what is odd in them.

    Parameters
    ----------
    strict
        Refuse data with anything odd in them.
    bar
        Shows how far it is.

    Raises
    ------
    InputError
        Data that cannot be read or trained on, or, with `strict`, anything odd in them.
    """
    with bar("read", None) as advance:
        data = read_datasets(config, on_frame=advance)
    trainer = Trainer(config, data, start_network(config))
    collector = FindingCollector()
    once = {id(frame): (frame, pairs) for frame, pairs in zip(data.train, trainer.train.pairs, strict=True)}
    for frame, pairs in once.values():
        collector.add(frame, bond_share(pairs, trainer.config.model.species))
    findings = [*trained_on_too(collector, data.valid), *collector.findings()]
    for finding in findings:
        data.remarks.state(finding.line())
    lonely = ", ".join(trainer.lonely_species)
    if lonely:
        data.remarks.state(
            f"{lonely}: only as atoms alone, so that nothing is learnt of how they bind: refused in anything larger"
        )
    untrained = [s for s in trainer.config.model.species if s not in trainer.trained_species]
    if untrained:
        data.remarks.state(
            f"no training data for {', '.join(untrained)} of model.species: the model will refuse structures with it"
        )
    if strict:
        refuse([], data.remarks.facts)
    return trainer, data
