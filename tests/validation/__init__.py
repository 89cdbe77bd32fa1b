"""Statistical proofs that take minutes: `make validate`. They stand under tests/ to share its oracles; no file is named
test_*.py, so that pytest leaves them alone."""
