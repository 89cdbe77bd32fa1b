"""Learning on the fly: dynamics with a committee that stops where it is unsure, has that labelled, and is retrained."""
