"""Simulated brokers, real enough for the brokers' own client libraries."""
