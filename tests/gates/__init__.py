"""Speed gates: run alone, after all other tests."""
