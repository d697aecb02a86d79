"""The WebSocket side: protocol and session without I/O, the hub and the picows server around them."""
