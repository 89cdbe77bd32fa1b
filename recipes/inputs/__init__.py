"""What recipes start from: structures, calculators, and forces of several structures at once."""
