"""The resolved configuration of feeds: credential store first, then the environment."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine

from adapters.base import FeedConfig
from gateway import log
from gateway.config import Settings, load_settings
from gateway.errors import SettingsError
from gateway.home import Home
from gateway.settings.brokers import OWN_FEEDS


def feed_configs(settings: Settings, engine: Engine, home: Home) -> Callable[[str], FeedConfig]:
    """A function that reads one feed's configuration anew at each call; call it in a thread, it reads the database.

    What is secret in it is masked in logs from then on. The function raises StoreError.
    """

    def read(name: str) -> FeedConfig:
        if name in OWN_FEEDS:
            return settings.broker(name)
        # imported only where a broker's feed runs
        from gateway.store.credentials import CredentialStore

        config = _fresh(settings).broker(name, CredentialStore(engine, home.store_secret()).get(name))
        log.know_secret(config.api_key, config.api_secret, config.access_token)
        return config

    return read


def _fresh(settings: Settings) -> Settings:
    """The settings as environment and `.env` have them now: a new day's token may stand there."""
    try:
        return load_settings()
    except SettingsError:
        # A `.env` that somebody is editing must not stop a running feed.
        return settings
