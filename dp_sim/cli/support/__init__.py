"""What commands share: options, configuration files, the choice of a calculator, the end of a run."""
