"""What `gateway.config` is made of: field descriptions, checks, broker variables, loading, documentation."""
