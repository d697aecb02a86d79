"""Per-broker variables (`<BROKER>_WS_URL` and the like) and how a feed's configuration is put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adapters.base import FeedConfig

if TYPE_CHECKING:
    from gateway.config import Settings

#: names a feed or a credential may have (brokers/FAMILIES section 1)
NAMES: tuple[str, ...] = tuple(
    """aliceblue angel arrow compositedge definedge deltaexchange dhan dhan_sandbox firstock fivepaisa fivepaisaxts
    flattrade fyers groww hdfcsecurities hdfcsky ibulls iifl iiflcapital indmoney jainamxts kotak motilal mstock nubra
    paytm pocketful rmoney samco shoonya tradejini tradesmart upstox wisdom zebu zerodha""".split()
)
#: feeds that are no broker's
OWN_FEEDS: tuple[str, ...] = ("simulated", "replay")

#: variable suffix -> field of FeedConfig; the last four may also stand in the credential store
ENDPOINTS = {"WS_URL": "ws_url", "REST_URL": "rest_url", "INSTRUMENTS": "instruments"}
CREDENTIALS = {
    "API_KEY": "api_key",
    "API_SECRET": "api_secret",
    "ACCESS_TOKEN": "access_token",
    "USER_ID": "user_id",
}
#: schemes an endpoint variable may have
_SCHEMES = {"ws_url": ("ws://", "wss://"), "rest_url": ("http://", "https://")}


def variable(broker: str, suffix: str) -> str:
    """The variable's name, e.g. `ZERODHA_WS_URL`."""
    return f"{broker.upper()}_{suffix}"


def problems(environment: Mapping[str, str]) -> list[str]:
    """One line for each broker endpoint that is no URL of the right kind."""
    found = []
    for broker in NAMES:
        for suffix, field in ENDPOINTS.items():
            name = variable(broker, suffix)
            value, schemes = environment.get(name, ""), _SCHEMES.get(field, ("",))
            if value and not value.lower().startswith(schemes):
                found.append(f"{name} is {value!r}; it may hold a URL that starts with {' or '.join(schemes)}")
    return found


def feed_config(settings: Settings, name: str, stored: Mapping[str, str]) -> FeedConfig:
    """Resolves one feed: endpoints from the environment, credentials from `stored`, then the environment."""
    environment = settings.environment
    values = {field: environment.get(variable(name, suffix), "") for suffix, field in ENDPOINTS.items()}
    for suffix, field in CREDENTIALS.items():
        values[field] = stored.get(field) or environment.get(variable(name, suffix), "")
    return FeedConfig(name=name, options=_options(settings, name), **values)


def _options(settings: Settings, name: str) -> dict[str, Any]:
    """What a feed needs beyond endpoints and credentials."""
    if name == "simulated":
        return {
            "rate": settings.simulated_rate,
            "seed": settings.simulated_seed,
            "instruments": settings.simulated_instruments,
        }
    if name == "replay":
        return {"file": settings.replay_file, "speed": settings.replay_speed, "loop": settings.replay_loop}
    return {
        "home": settings.gateway_home,
        "symbols_per_connection": settings.max_symbols_per_websocket,
        "connections": settings.max_websocket_connections,
    }
