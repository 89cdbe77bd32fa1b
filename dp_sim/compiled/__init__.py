"""The compiled path on CPUs: the library, its operators, and models laid out for its kernels."""
