"""Several models as one: the combination of their outputs, and the folder that holds them."""
