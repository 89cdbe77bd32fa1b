"""dp-sim info DATA: labels, neighbours and first settings, as tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from dp_sim.config.label_keys import LabelKeys
    from dp_sim.datasets.findings import Finding
    from dp_sim.datasets.label_summary import LabelSummary
    from dp_sim.datasets.remarks import Remarks
    from dp_sim.datasets.statistics import NeighborStatistics
    from dp_sim.datasets.suggestions import Suggestion

#: Compositions that are listed; of more, only how many there are is said.
LISTED = 6


def show_data(
    source: str, cutoff: float, plot: Path | None, *, keys: LabelKeys, strict: bool = False, progress: bool = True
) -> None:
    """Print what is in a file or folder of structures, read once and not kept.

    Parameters
    ----------
    cutoff
        Within which neighbours are counted, Angstrom.
    plot
        Where a figure of the neighbours goes.
    keys
        Names of the labels.
    strict
        Refuse data with findings, after the tables.
    """
    from rich.console import Console

    from dp_sim.cli.support.figures import save_figure
    from dp_sim.datasets.findings import FindingCollector, refuse
    from dp_sim.datasets.label_summary import LabelCounter
    from dp_sim.datasets.reading import iterate_frames
    from dp_sim.datasets.remarks import Remarks
    from dp_sim.datasets.statistics import NeighborCounter, in_batches
    from dp_sim.datasets.suggestions import LONGEST_CUTOFF, suggest
    from dp_sim.recipes.models.neighbor_figure import neighbor_figure
    from dp_sim.recipes.run.progress import progress_bar

    remarks, counter, collector = Remarks(), LabelCounter(), FindingCollector()
    neighbor_counter = NeighborCounter(cutoff, reach=LONGEST_CUTOFF)
    with progress_bar("read", total=None, show=progress) as advance:
        for batch in in_batches(iterate_frames(source, labelled=False, keys=keys, remarks=remarks)):
            for frame, share in zip(batch, neighbor_counter.add_batch(batch).tolist(), strict=True):
                counter.add(frame)
                collector.add(frame, share)
            advance(len(batch))
    labels, neighbors, findings = counter.summary(), neighbor_counter.statistics(), collector.findings()
    counter.state_missing(remarks)
    console = Console()
    console.print(_label_table(source, labels, neighbors))
    console.print(_findings_table(remarks, findings))
    console.print(_neighbor_table(neighbors))
    console.print(_suggestion_table(suggest(neighbors, labels)))
    if plot is not None:
        save_figure(neighbor_figure(neighbors), plot, "neighbours")
    if strict:
        refuse(findings, remarks.facts)


def _table(title: str, *columns: str, header: bool = True) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", show_header=header, box=box.SIMPLE)
    for column in columns:
        table.add_column(column)
    return table


def _label_table(source: str, labels: LabelSummary, neighbors: NeighborStatistics) -> Table:
    from dp_sim.datasets.remarks import frames_text

    systems = [f"{count} × {name}" for name, count in sorted(labels.systems.items(), key=lambda item: -item[1])]
    more = f", and {len(systems) - LISTED} other compositions" if len(systems) > LISTED else ""
    atoms = ", ".join(f"{n:,} {s}" for s, n in zip(neighbors.species, neighbors.atoms.tolist(), strict=True))
    have = [
        f"{name} ({'all frames' if n == labels.frames else frames_text(n)})" for name, n in labels.labelled.items() if n
    ]
    rows = {
        "frames": f"{labels.frames:,}: {', '.join(systems[:LISTED])}{more}",
        "atoms": f"{labels.atoms:,}: {atoms}",
        "periodic": ", ".join(f"{axes} ({frames_text(n)})" for axes, n in labels.periodicity.items()),
        "labels": ", ".join(have) or "none",
    }
    if labels.energy is not None:
        rows["energy"] = f"{labels.energy[0]:.4f} to {labels.energy[1]:.4f} eV/atom"
    if labels.largest_force is not None:
        rows["forces"] = f"RMS component {labels.force_rms:.4f}, longest {labels.largest_force:.3f} eV/Å"
    table = _table(source, "", "", header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _findings_table(remarks: Remarks, findings: list[Finding]) -> Table:
    from rich.text import Text

    table = _table("As read, and what is odd", "", "", header=False)
    for label in remarks.sources:
        table.add_row(label, Text(f"from {remarks.source_text(label)}"))
    for line in remarks.lines():
        if ": read from " not in line:
            table.add_row("note", Text(line))
    for finding in findings:
        table.add_row("odd", Text(finding.line()))
    if not findings:
        table.add_row("odd", "nothing found")
    return table


def _neighbor_table(neighbors: NeighborStatistics) -> Table:
    table = _table("Neighbours", "centre - neighbour", "closest (Å)", f"within {neighbors.cutoff:g} Å: mean", "most")
    closest, mean, largest = neighbors.closest, neighbors.mean, neighbors.largest
    for a, center in enumerate(neighbors.species):
        for b, neighbor in enumerate(neighbors.species):
            distance = f"none within {neighbors.reach:g}" if math.isnan(closest[a, b]) else f"{closest[a, b]:.3f}"
            table.add_row(f"{center} - {neighbor}", distance, f"{mean[a, b]:.1f}", str(largest[a, b]))
    return table


def _suggestion_table(suggestions: list[Suggestion]) -> Table:
    table = _table("To start from", "key", "value", "why")
    for suggestion in suggestions:
        table.add_row(*suggestion)
    return table
