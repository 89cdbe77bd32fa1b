"""Labels of structures, under the names, units and weights that other programs use."""
