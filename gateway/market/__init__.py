"""The market process: tick bus, engine, feeds, tick stream. Knows nothing of orders or REST."""
