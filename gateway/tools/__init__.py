"""Tools beside the gateway that read its tick stream: recorder, recordings, live table."""
