"""What a spread is worth: its scale against true errors, intervals that hold, and where it says nothing."""
