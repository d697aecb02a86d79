"""A broker that does not exist: copy this folder to begin a new adapter (see `adapter.py`)."""
