"""Micro-benchmarks of the compiled parts as Python sees them."""
