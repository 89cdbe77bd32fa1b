"""Settings: type, default and meaning of each in one place, read from YAML and refused where they are wrong."""
