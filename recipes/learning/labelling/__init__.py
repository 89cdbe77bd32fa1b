"""Labels: the calculator in a process of its own, what may not enter the data, structures as the journal holds them."""
