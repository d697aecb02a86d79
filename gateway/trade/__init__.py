"""The trade process: orders, positions and money. `core` decides, without I/O; everything else performs."""
