"""Transport and vibrations: diffusion, velocity autocorrelation, vibrational density of states, viscosity."""
