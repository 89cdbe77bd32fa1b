"""Recipes of dynamics (NVE, NVT, NPT), their engines and their estimators."""
