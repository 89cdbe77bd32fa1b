"""The demo: every step from labelled data to properties, on the shipped water."""
