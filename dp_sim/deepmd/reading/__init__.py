"""Readers of DeePMD-kit's files: all return the same content, and refuse a file with anything they did not read."""
