"""DeePMD-kit's models in and out, without deepmd-kit: read its files, write them, same numbers."""
