"""Commands on whole runs: the demonstration, the speed of a machine, the report."""
