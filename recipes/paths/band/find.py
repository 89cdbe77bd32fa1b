"""Minimum-energy path between two structures: nudged elastic band with a climbing image."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.recipes.inputs.forces import largest_force
from dp_sim.recipes.paths.band.chain import BAND, Band, Left, make_band, read_band
from dp_sim.recipes.paths.band.ends import (
    END_FMAX,
    RelaxedEnds,
    align_product,
    displacement,
    is_free,
    prepare_ends,
    relaxed_ends,
)
from dp_sim.recipes.paths.band.first_path import check_interpolation, chosen_interpolation, first_path
from dp_sim.recipes.paths.band.relaxation import Relaxation
from dp_sim.recipes.paths.band.result import PathResult
from dp_sim.recipes.paths.band.settings import NEBSettings
from dp_sim.recipes.paths.band.steps import StepSearch
from dp_sim.recipes.paths.barriers import with_model_errors
from dp_sim.recipes.run.directory import RunDirectory

__all__ = ["PathResult", "find_path"]

#: A band as rough as this, eV/Angstrom, leads `refine_ts` to the saddle point that one of 0.05 leads it to, for a third
#: of the evaluations: 22 of 23 reactions of benchmarks/reactions; in the other one two saddle points follow each other,
#: and it led to the higher one.
GUIDE_FMAX = 0.25

#: Where their number is not given: images to begin with at least and at most, and the way between two, Angstrom.
LEAST_IMAGES, MOST_IMAGES, WAY_A = 7, 13, 0.8


@documented(NEBSettings)
def find_path(
    reactant: Atoms,
    product: Atoms,
    calc: Any,
    *,
    images: int | None = None,
    fmax: float = 0.05,
    band_fmax: float | None = None,
    method: str = "springs",
    steps: int = 500,
    interpolation: str = "auto",
    match_atoms: bool = False,
    relax_ends: bool = True,
    align: bool = True,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> PathResult:
    """Find the minimum-energy path from reactant to product and its highest point.

    Nudged elastic band with the improved tangent (Henkelman, Jonsson, J. Chem. Phys. 113, 9978 (2000)): first plain,
    then with a climbing image (Henkelman, Uberuaga, Jonsson, J. Chem. Phys. 113, 9901 (2000)), moved by the adaptive
    ODE solver of Makri, Ortner, Kermode, J. Chem. Phys. 150, 094109 (2019).

    Parameters
    ----------
    reactant, product : ase.Atoms
        The ends: the same atoms in the same order and cell.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    PathResult
        The band: energies (images,) in eV and distances along the path (images,) in Angstrom, with the barriers in eV.
        `converged` is false where a force is left, there is no barrier, or an end is not relaxed.

    Raises
    ------
    InputError
        The ends do not hold the same atoms in the same order and cell, are the same structure, or a setting is wrong.

    Notes
    -----
    `resume` goes on from band.extxyz in `out`.
    """
    settings = NEBSettings.taken_from(locals())
    ends, order_note = prepare_ends(reactant, product, calc, match=settings.match_atoms)
    check_interpolation(settings.interpolation, ends[0])
    calculator, rotate = ends[0].calc, settings.align and is_free(ends[0])
    align_product(ends, rotate=rotate)
    bounds = Left(settings.fmax, max(settings.band_fmax or 5 * settings.fmax, settings.fmax))
    with RunDirectory.of(
        settings, out, structures=[reactant, product], calculator=calculator, overwrite=overwrite, resume=resume
    ) as run:
        if order_note:
            run.note(order_note)
        saved = run.path(BAND)
        found = RelaxedEnds(ends, [], 0, 0.0)
        if run.resumed and saved is not None and saved.exists():
            band, climbing = read_band(saved, ends[0], settings.method, bounds)
            run.log(f"goes on from {BAND}")
        else:
            if settings.relax_ends:
                found = relaxed_ends(ends, min(settings.fmax, END_FMAX), run, rotate=rotate)
            path = _first_path(found.ends, settings, run, rotate=rotate, images=settings.images)
            band, climbing = make_band(path, calculator, settings.method, bounds), False
        search = StepSearch(
            interpolated=lambda pair, images: _first_path(
                pair, settings, run, rotate=rotate, images=None if settings.images is None else images
            ),
            refine=settings.images is None,
            rotate=rotate,
            fmax=settings.fmax,
            steps=settings.steps,
            run=run,
            progress=progress,
        )
        search.search(band, climbing)
        result = _result(search, settings, found)
        levels = (result.images[0], result.images[result.highest_index], result.images[-1])
        return run.finish(with_model_errors(result, levels, calculator))


def _first_path(
    ends: tuple[Atoms, Atoms], settings: NEBSettings, run: RunDirectory, *, rotate: bool, images: int | None
) -> list[Atoms]:
    """Interpolate, with as many images as are asked for, or as the length of the way between the ends calls for."""
    interpolation, note = chosen_interpolation(settings.interpolation, ends[0])
    if note:
        run.note(note)
    if images is None:
        way = float(np.linalg.norm(displacement(*ends)))
        images = int(np.clip(round(way / WAY_A) + 3, LEAST_IMAGES, MOST_IMAGES))
    run.log(f"first path: {interpolation}, {images} images")
    return first_path(*ends, images=images, interpolation=interpolation, rotate=rotate, seed=settings.seed)


def _result(search: StepSearch, settings: NEBSettings, found: RelaxedEnds) -> PathResult:
    images, bands = search.images(), search.bands
    moved = [np.linalg.norm(displacement(*pair)) for pair in itertools.pairwise(images)]
    causes = list(found.causes)
    for number, (band, ended) in enumerate(zip(bands, search.endings, strict=True), 1):
        step = f"step {number} of {len(bands)}: " if len(bands) > 1 else ""
        causes += [step + cause for cause in _causes(band, ended, search.taken)]
    for name, end in (("reactant", images[0]), ("product", images[-1])):
        if largest_force(end) > 2 * settings.fmax:
            causes.append(
                f"the {name} is not relaxed (largest force {largest_force(end):.3f} eV/Angstrom), so it is no end of a "
                "path; relax it first"
            )
    return PathResult(
        converged=not causes,
        cause="; ".join(causes),
        images=tuple(images),
        energies=np.array([image.get_potential_energy() for image in images]),
        path_length_A=np.concatenate([[0.0], np.cumsum(moved)]),
        cuts=tuple(int(k) for k in np.cumsum([band.nimages - 1 for band in bands])[:-1]),
        largest_force=max(band.left.top for band in bands),
        band_force=max(band.left.others for band in bands),
        steps=search.taken,
        evaluations={"ends": found.evaluations, "band": search.evaluations + sum(band.evaluations for band in bands)},
        seconds={"ends": found.seconds, "band": search.seconds + sum(band.seconds for band in bands)},
    )


def _causes(band: Band, ended: Relaxation, steps: int) -> list[str]:
    """Say why a band is no path with a saddle point, as sentences."""
    causes, left, bounds = [], band.left, band.bounds
    forces = f"the largest force is {left.top:.3f} eV/Angstrom on the highest image and {left.others:.3f} on the others"
    asked = f"{bounds.top:g} and {bounds.others:g} were asked for"
    if ended.failure:
        causes.append(f"{ended.failure}; {forces}; the best band so far is kept")
    elif ended.stall and not left.within(bounds):
        causes.append(f"{forces}, {asked}, and it stopped falling after {steps} steps: {ended.stall}")
    elif not left.within(bounds):
        causes.append(f"{forces} after {steps} steps, {asked}; allow more steps (resume=True goes on)")
    elif not band.has_barrier():
        causes.append(
            "no image lies above both ends, so there is no saddle point between them at this resolution; "
            "try more images, or accept that the energy rises or falls without a barrier"
        )
    return causes
