"""Statistical proofs that take minutes: `make validate`. They share the oracles of tests/support/."""
