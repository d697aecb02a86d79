"""Benches: load from processes of their own, references in the same run."""
