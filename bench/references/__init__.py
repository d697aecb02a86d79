"""The servers that the gateway is measured beside: the plain design, and no design at all."""
