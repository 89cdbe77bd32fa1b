"""Training: data, loss, optimisers, checkpoints, the loop, and the accuracy of what comes out."""
