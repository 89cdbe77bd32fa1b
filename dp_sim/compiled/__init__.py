"""The compiled path on processors: the library, its operators, and models laid out for its kernels."""
