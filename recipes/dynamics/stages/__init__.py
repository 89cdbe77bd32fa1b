"""What comes before a run of dynamics: relaxation, and stages with ramps of temperature and pressure."""
