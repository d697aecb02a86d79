"""Schema migrations, run by `gateway.store.migrate`."""
