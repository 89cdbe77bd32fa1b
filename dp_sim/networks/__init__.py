"""Dense networks, their activations, and the fitting nets made of them."""
