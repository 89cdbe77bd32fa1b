"""A reaction of several steps: the minima on its way are named."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from dp_sim.recipes.paths.rates.several_steps import several_steps


def elsewhere(atoms):
    """Another structure of the same atoms, with an energy."""
    far = atoms.copy()
    far.positions *= 1.6
    far.calc = SinglePointCalculator(far, energy=atoms.get_potential_energy())
    return far


def band(*images, cuts=()):
    return SimpleNamespace(images=images, cuts=cuts)


def test_a_path_that_was_cut_names_each_intermediate(isomers):
    words = several_steps(band(isomers.hcn, isomers.hnc, cuts=(3, 5)), isomers.irc, Path("run"))
    assert "3 steps" in words
    assert "neb/intermediate-1.extxyz, neb/intermediate-2.extxyz in run" in words
    assert "images [3, 5]" in several_steps(band(isomers.hcn, isomers.hnc, cuts=(3, 5)), None, None)


@pytest.mark.parametrize("known", ["reactant", "product"])
def test_one_end_as_given_and_the_other_a_minimum_between(isomers, known):
    ends = {"reactant": isomers.irc.reactant, "product": isomers.irc.product}
    other = {"reactant": "product", "product": "reactant"}[known]
    given = {known: ends[known], other: elsewhere(ends[other])}
    words = several_steps(band(given["reactant"], given["product"]), isomers.irc, Path("run"))
    assert f"the {known} given" in words
    assert f"irc/{other}.extxyz in run" in words
    # The coordinate may run the other way.
    given = {other: ends[known], known: elsewhere(ends[other])}
    words = several_steps(band(given["reactant"], given["product"]), isomers.irc, None)
    assert f"the {other} given" in words
    assert f"irc.{other}:" in words


def test_a_molecule_that_rearranges_to_itself_by_way_of_another(isomers):
    words = several_steps(band(isomers.irc.product, isomers.irc.product), isomers.irc, None)
    assert "the product given" in words
    assert "irc.reactant:" in words


def test_nothing_is_said_where_no_end_or_both_are_found_or_none_was_followed(isomers):
    irc = isomers.irc
    assert several_steps(band(irc.reactant, irc.product), irc, None) == ""
    assert several_steps(band(elsewhere(irc.reactant), elsewhere(irc.product)), irc, None) == ""
    assert several_steps(band(irc.reactant, elsewhere(irc.product)), None, None) == ""
