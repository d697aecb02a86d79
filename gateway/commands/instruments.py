"""`gateway instruments …`."""

from __future__ import annotations

from gateway import instruments
from gateway.commands.brokers import known
from gateway.commands.common import credential_store, emit, note, settings_for_command
from gateway.errors import GatewayError, SettingsError


def load(broker: str, source: str | None) -> None:
    """Loads an instrument master; how many instruments it has goes to standard output."""
    settings = settings_for_command()
    if broker == "common":
        if source is None:
            raise SettingsError(["FILE is missing; `instruments load common FILE` takes a CSV of the common record"])
        result = instruments.load_master(broker, source, settings)
    else:
        known(broker)
        config = settings.broker(broker, credential_store(settings).get(broker))
        result = instruments.load_for(config, source, settings.gateway_home)
    for line in result.warnings:
        note(f"warning: {line}")
    if result.more_warnings:
        note(f"warning: and {result.more_warnings} more")
    note(f"{broker}: {result.loaded} of {result.read} rows, {result.skipped} unusable, {result.duplicates} doubled")
    print(result.loaded)


def search(text: str, as_json: bool) -> None:
    """Lists instruments whose symbol, broker symbol or name has every word of the text."""
    hits = instruments.search(text, settings_for_command())
    rows = [{"broker": hit.broker, **hit.record._asdict()} for hit in hits]
    columns = list(rows[0]) if as_json and rows else ["broker", "exchange", "symbol", "name", "lotsize", "tick_size"]
    emit([name for name in columns if name != "extra"], rows, as_json)
    if not rows:
        raise GatewayError(f"no instrument matches {text!r}; load a master with `gateway instruments load BROKER`")
