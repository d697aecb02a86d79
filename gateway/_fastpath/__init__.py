"""Cython hot loops. Imports picows and nothing of ours."""
