"""Plays a recording made by `gateway record` as if it came from a broker."""
