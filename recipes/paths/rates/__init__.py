"""Rate constants: from stationary points to k(T), with tunnelling, error bars of a committee, and a verdict."""
