"""What comes in: structures checked and laid out as batches of tensors, with their species and devices."""
