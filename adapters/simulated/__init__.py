"""A made-up market for trying things out: seeded ticks of realistic instruments, no broker needed."""
