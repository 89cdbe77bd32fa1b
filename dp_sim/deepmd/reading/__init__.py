"""Readers of DeePMD-kit's files: all give the same content, and refuse what they would pass unread."""
