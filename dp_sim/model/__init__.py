"""The Deep Potential: its energy, the derivatives, the evaluator, the model file, committees and compression."""
