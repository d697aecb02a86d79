"""What the commands do; `gateway.cli` only reads the command line and imports these when needed."""
