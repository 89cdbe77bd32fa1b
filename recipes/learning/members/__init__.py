"""The members: trained on with all labels, and what their spread is worth by then."""
