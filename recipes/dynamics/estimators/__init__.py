"""Averages and fluctuations of correlated samples, each with an honest interval, or withheld with the cause.

One route for every estimate. Let theta(samples) be the estimate and psi_n its influence values: the first-order
change of theta when sample n gains weight, `psi_n = N d(theta)/d(weight_n)` (the infinitesimal jackknife: B. Efron,
*The Jackknife, the Bootstrap and Other Resampling Plans*, SIAM 1982, ch. 6). They have mean zero, and theta - <theta>
is their average to first order. Its variance is S / N, where S, the sum of the autocovariance of psi over all lags, is
the spectral density of psi at zero frequency (`correlation.py`). With the statistical inefficiency g = S / Var(psi)

    standard error^2 = S / N = Var(psi) g / N,        n_effective = N / g.

It is the inefficiency of psi that counts, not that of the samples: squared deviations have another correlation time.
An estimate made of others has the influence values that the chain rule gives (`statistic.py`), so that what the others
have in common is counted. Intervals are in `intervals.py`; when an estimate is withheld, in `verdict.py`.
"""

from dp_sim.recipes.dynamics.estimators.averages import mean, slope
from dp_sim.recipes.dynamics.estimators.correlation import FEWEST_COSINES, standard_error, statistical_inefficiency
from dp_sim.recipes.dynamics.estimators.elasticity import (
    STRAIN_NAMES,
    FluctuationConstants,
    elastic_constants,
    name_of,
    no_symmetry,
    place_of,
)
from dp_sim.recipes.dynamics.estimators.equilibrium import LATEST_START, LEAST_JUDGED, drifts, equilibration
from dp_sim.recipes.dynamics.estimators.fluctuations import (
    compressibility,
    compressibility_statistic,
    expansion_statistic,
    heat_capacity,
    heat_capacity_statistic,
    thermal_expansion,
)
from dp_sim.recipes.dynamics.estimators.microcanonical import heat_capacity_at_constant_energy
from dp_sim.recipes.dynamics.estimators.responses import (
    bulk_modulus,
    capacity_difference_statistic,
    expansion_over_compressibility,
    heat_capacity_at_constant_volume,
    pressure_coefficient,
    pressure_coefficient_statistic,
    thermal_pressure_statistic,
)
from dp_sim.recipes.dynamics.estimators.reweighting import Computed, MemberAverages, Reweighting
from dp_sim.recipes.dynamics.estimators.statistic import Statistic, average
from dp_sim.recipes.dynamics.estimators.verdict import (
    NEEDED_FOR_FLUCTUATION,
    NEEDED_FOR_MEAN,
    NEEDED_OF_FLUCTUATING,
)

__all__ = [
    "FEWEST_COSINES",
    "LATEST_START",
    "LEAST_JUDGED",
    "NEEDED_FOR_FLUCTUATION",
    "NEEDED_FOR_MEAN",
    "NEEDED_OF_FLUCTUATING",
    "STRAIN_NAMES",
    "Computed",
    "FluctuationConstants",
    "MemberAverages",
    "Reweighting",
    "Statistic",
    "average",
    "bulk_modulus",
    "capacity_difference_statistic",
    "compressibility",
    "compressibility_statistic",
    "drifts",
    "elastic_constants",
    "equilibration",
    "expansion_over_compressibility",
    "expansion_statistic",
    "heat_capacity",
    "heat_capacity_at_constant_energy",
    "heat_capacity_at_constant_volume",
    "heat_capacity_statistic",
    "mean",
    "name_of",
    "no_symmetry",
    "place_of",
    "pressure_coefficient",
    "pressure_coefficient_statistic",
    "slope",
    "standard_error",
    "statistical_inefficiency",
    "thermal_expansion",
    "thermal_pressure_statistic",
]
