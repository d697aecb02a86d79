"""gateway.store.feeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import log
from gateway.config import load_settings
from gateway.home import Home
from gateway.store.credentials import CredentialStore
from gateway.store.feeds import feed_configs
from gateway.store.migrate import open_store


@pytest.mark.usefixtures("bare_environment")
def test_store_wins_over_environment_and_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZERODHA_API_KEY", "environment-key")
    monkeypatch.setenv("ZERODHA_ACCESS_TOKEN", "environment-token")
    monkeypatch.setattr(log, "_known", set())
    home, settings = Home(tmp_path), load_settings(gateway_home=tmp_path)
    engine = open_store(settings.database_url, home)
    read = feed_configs(settings, engine, home)
    assert read("zerodha").access_token == "environment-token"
    CredentialStore(engine, home.store_secret()).put("zerodha", {"access_token": "stored-token"})
    config = read("zerodha")
    assert (config.api_key, config.access_token) == ("environment-key", "stored-token")
    assert log.mask(None, "", {"event": "got stored-token"}) == {"event": "got ***"}
    assert read("simulated").options["rate"] == 1000
