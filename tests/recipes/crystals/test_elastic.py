"""Elastic constants and equations of state: springs in closed form, second derivatives of the energy, other fits."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.eos import EquationOfState, birchmurnaghan
from ase.optimize import BFGS
from ase.units import GPa
from random_model import write_random_model
from refusals import refused
from spring_crystal import SpringCrystal

from dp_sim.recipes import elastic_constants, equation_of_state
from dp_sim.recipes.crystals.elastic_tensor import strain_matrix
from dp_sim.recipes.crystals.volumes import fit_birch_murnaghan

COPPER_A = 3.58982


def test_springs_between_neighbours_of_an_fcc_lattice():
    """C11 = 2k/a, C12 = C44 = k/a: the sum k r^2 n n n n / 2V over 12 neighbours (M. Born and K. Huang, 1954)."""
    found = elastic_constants(bulk("Al", a=4.0), SpringCrystal(2.0, 4 / np.sqrt(2), 3.2))
    unit = 2.0 / 4.0 / GPa
    np.testing.assert_allclose(
        [found.constants_GPa[place] for place in ((0, 0), (0, 1), (3, 3))], [2 * unit, unit, unit], rtol=1e-6
    )
    assert found.is_stable
    assert found.quantities()["C44"].error < 1e-3


def second_derivative(atoms: Atoms, voigt: np.ndarray, step: float = 0.003) -> float:
    """d2E/da2 / V, GPa, of strains a * voigt, atoms relaxed: four differences, the next order taken out."""
    energies = {}
    for a in (-2, -1, 0, 1, 2):
        bent = atoms.copy()
        bent.set_cell(atoms.cell.array @ (np.eye(3) + strain_matrix(a * step * voigt)), scale_atoms=True)
        bent.calc = EMT()
        BFGS(bent, logfile=None).run(fmax=1e-5)
        energies[a] = bent.get_potential_energy()
    curvature = (-energies[-2] + 16 * energies[-1] - 30 * energies[0] + 16 * energies[1] - energies[2]) / 12 / step**2
    return curvature / atoms.get_volume() / GPa


def test_copper_against_second_derivatives_of_the_energy():
    found = elastic_constants(bulk("Cu", a=3.6), EMT(), relax=True, cell=True)
    cell = found.start.primitive
    unit = np.eye(6)
    c = found.constants_GPa
    for voigt in (unit[0], unit[3], unit[0] + unit[1], unit[0] - unit[1]):
        assert voigt @ c @ voigt == pytest.approx(second_derivative(cell, voigt), rel=1e-3)
    # Measured, towards 0 K: W. C. Overton and J. Gaffney, Phys. Rev. 98, 969 (1955). EMT is near them.
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [176, 124, 82], rtol=0.12)
    assert found.averages.bulk_hill == pytest.approx(134.4, abs=0.2)


def test_atoms_of_a_strained_cell_relax():
    """Hexagonal copper: strains in the plane move its two atoms; clamped, C11 would be higher."""
    found = elastic_constants(bulk("Cu", "hcp", a=2.54, c=4.15), EMT(), relax=True, cell=True)
    assert found.start.crystal.number == 194
    assert len(found.fit.basis) == 5
    c, unit = found.constants_GPa, np.eye(6)
    assert c[5, 5] == pytest.approx((c[0, 0] - c[0, 1]) / 2)
    for voigt in (unit[0], unit[2], unit[5], unit[0] + unit[2]):
        assert voigt @ c @ voigt == pytest.approx(second_derivative(found.start.primitive, voigt), rel=2e-3)


def test_the_orientation_of_the_file_does_not_matter():
    atoms = bulk("Cu", a=COPPER_A)
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    found = elastic_constants(atoms, EMT())
    np.testing.assert_allclose(
        found.constants_GPa, elastic_constants(bulk("Cu", a=COPPER_A), EMT()).constants_GPa, rtol=1e-6, atol=1e-9
    )


def test_an_unstable_crystal_and_one_under_stress_are_said(tmp_path):
    found = elastic_constants(bulk("Cu", "bcc", a=2.86), EMT(), out=tmp_path / "run")
    assert not found.is_stable
    assert "unstable" in found.summary()
    assert found.quantities()["moduli"].value is None
    assert any("under stress" in note for note in found.provenance["notes"])
    assert (tmp_path / "run" / "elastic.csv").read_text().count("\n") == 7
    assert (tmp_path / "run" / "stresses.csv").read_text().startswith("strained,strain,stress_xx_GPa")


class WithoutStress(Calculator):
    """EMT's energy and forces alone."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        copy = atoms.copy()
        copy.calc = EMT()
        self.results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}


def test_without_stress_there_is_an_equation_of_state_alone():
    atoms = bulk("Cu", a=COPPER_A)
    with refused("stress-missing", "WithoutStress"):
        elastic_constants(atoms, WithoutStress())
    found = equation_of_state(atoms, WithoutStress(), volumes=6)
    assert found.pressures_GPa is None
    assert found.quantities()["pressure"].value is None


def test_copper_agrees_with_the_fit_of_ase_and_with_the_elastic_constants():
    found = equation_of_state(bulk("Cu", a=3.65), EMT(), volumes=9, volume_range=0.08)
    volume, energy, modulus = EquationOfState(found.volumes_A3, found.energies_eV, eos="birchmurnaghan").fit()
    assert found.fit.volume_A3 == pytest.approx(volume, rel=1e-6)
    assert found.fit.energy_eV == pytest.approx(energy, abs=1e-8)
    assert found.fit.bulk_modulus_GPa == pytest.approx(modulus / GPa, rel=1e-4)
    elastic = elastic_constants(bulk("Cu", a=COPPER_A), EMT())
    assert found.fit.bulk_modulus_GPa == pytest.approx(elastic.averages.bulk_hill, rel=2e-3)
    assert found.quantities()["conventional_lengths"].value[0] == pytest.approx(COPPER_A, abs=1e-4)
    inner = slice(1, -1)  # the slope of the curve is the pressure of the stress
    slope = -np.gradient(found.fit.energies(found.volumes_A3), found.volumes_A3)[inner] / GPa
    np.testing.assert_allclose(slope, found.pressures_GPa[inner], atol=0.2)


def test_the_shape_of_a_hexagonal_cell_relaxes_at_each_volume():
    """At every volume the normal stresses are equal; scaled alone, they would differ."""
    found = equation_of_state(bulk("Cu", "hcp", a=2.54, c=4.15), EMT(), volumes=6, fmax=0.001, relax=True, cell=True)
    for frame in found.frames:
        stress = frame.get_stress() / GPa
        assert stress[0] == pytest.approx(stress[2], abs=0.01)
    ratios = [frame.cell.lengths()[2] / frame.cell.lengths()[0] for frame in found.frames]
    assert np.ptp(ratios) > 1e-5


def test_a_birch_murnaghan_curve_is_found_again():
    volumes = np.linspace(14, 18, 8)
    fit = fit_birch_murnaghan(volumes, birchmurnaghan(volumes, -5.0, 0.6, 4.4, 16.2))
    assert (fit.energy_eV, fit.bulk_modulus_GPa * GPa, fit.derivative, fit.volume_A3) == pytest.approx(
        (-5, 0.6, 4.4, 16.2)
    )
    assert fit_birch_murnaghan(volumes, -birchmurnaghan(volumes, -5.0, 0.6, 4.4, 16.2)) is None


def test_a_range_too_wide_for_the_curve_is_not_converged():
    """The bulk modulus at the minimum is 134.5 GPa; over half the volume the curve gives 130."""
    good = equation_of_state(bulk("Cu", a=COPPER_A), EMT(), volume_range=0.1)
    assert good.converged
    assert good.fit.next_order_GPa == pytest.approx(134.5, abs=0.3)
    wide = equation_of_state(bulk("Cu", a=COPPER_A), EMT(), volume_range=0.5)
    assert not wide.converged
    assert "term more" in wide.cause
    assert wide.fit.bulk_modulus_GPa < 131


def test_the_next_order_is_that_of_a_curve_with_four_terms():
    """E = 9 V0 B0 / 16 [(x - 1)^3 B0' + (x - 1)^2 (6 - 4 x)] + c (x - 1)^4: the last term has no part in B0."""
    volumes = np.linspace(14, 18, 8)
    added = 400 * ((16.2 / volumes) ** (2 / 3) - 1) ** 4
    fit = fit_birch_murnaghan(volumes, birchmurnaghan(volumes, -5.0, 0.6, 4.4, 16.2) + added)
    assert fit.next_order_GPa * GPa == pytest.approx(0.6, rel=1e-6)
    assert abs(fit.bulk_modulus_GPa * GPa / 0.6 - 1) > 0.01


def test_the_equation_of_state_of_a_committee_spreads(tmp_path):
    """Each member alone, at the same volumes."""
    files = [write_random_model(tmp_path / f"{seed}.pt", seed=seed, species=("Cu", "O")) for seed in (1, 2, 3)]
    atoms = bulk("Cu", a=COPPER_A)
    together = equation_of_state(atoms, files, volumes=6)
    alone = [equation_of_state(atoms, file, volumes=6) for file in files]
    for one, member in zip(alone, together.members, strict=True):
        known = fit_birch_murnaghan(one.volumes_A3, one.energies_eV)
        assert (member is None) == (known is None)
        assert known is None or member.volume_A3 == pytest.approx(known.volume_A3, rel=1e-9)
    numbers = together.quantities()
    if all(together.members):
        spread = np.std([one.volume_A3 for one in together.members], ddof=1)
        assert numbers["equilibrium_volume"].model_error == pytest.approx(together.worth.energy.factor * spread)
    else:
        assert "members have no minimum" in numbers["model_errors_from"].cause
    assert not alone[0].members


def test_no_minimum_among_the_volumes_is_no_equation_of_state(tmp_path):
    found = equation_of_state(bulk("Cu", a=3.9), EMT(), volumes=6, volume_range=0.05, out=tmp_path / "run")
    assert not found.converged
    assert "smallest" in found.cause
    assert found.quantities()["bulk_modulus"].value is None
    assert (tmp_path / "run" / "eos.csv").is_file()


def test_a_committee_spreads(tmp_path):
    """The spread is that of what each member alone gives in the same cell."""
    files = [write_random_model(tmp_path / f"{seed}.pt", seed=seed, species=("Cu", "O")) for seed in (1, 2, 3)]
    atoms = bulk("Cu", a=3.6)
    together = elastic_constants(atoms, files)
    alone = np.array([elastic_constants(atoms, file).constants_GPa for file in files])
    np.testing.assert_allclose(together.member_constants_GPa, alone, atol=1e-6)
    np.testing.assert_allclose(together.constants_GPa, alone.mean(axis=0), atol=1e-6)  # no atom moves here
    expected = together.worth.forces.factor * alone[:, 0, 0].std(ddof=1)
    assert together.quantities()["C11"].model_error == pytest.approx(expected)
    assert elastic_constants(atoms, files[0]).member_constants_GPa is None
