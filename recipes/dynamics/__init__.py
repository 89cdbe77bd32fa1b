"""Recipes of dynamics (NVE, NVT, NPT), their engines and their estimators.

Where the next one goes:

- an engine: a module in `engines/` with the methods of `engines.protocol.Engine`, and a line in `engines.ENGINES`;
- an estimator: a function in a module of `estimators/` (samples in, `Estimate` out: `verdict.estimate` gives interval
  and verdict from its influence values), a field of the ensemble's result, and its line in that module's `analyse` and
  `quantities`;
- an ensemble: a class in `settings.py`, and a module with its result, `analyse` and a recipe that calls
  `plan.run_dynamics`; what the engine holds constant goes into `engines.protocol.Conditions`;
- a setting: a field in `settings.py` and a keyword of the recipes that have it.
"""
