"""Heat capacity of a finished run beside its raw number: by a run nearby, without the model's noise, quantum."""
