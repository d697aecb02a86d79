"""Tables, migrations and the look-ups on them (SQLAlchemy 2)."""
