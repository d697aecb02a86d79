"""Order and system events on their way out: the publisher interface, its transports and the relay that feeds them."""
