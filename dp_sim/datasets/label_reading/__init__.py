"""Labels of structures under the names, units and weights that other programs give them."""
