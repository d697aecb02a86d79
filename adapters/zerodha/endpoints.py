"""Where Zerodha is and how a request proves who asks (KITE section 1, KITE_REST "Base and headers")."""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urlsplit

from adapters.base import FeedConfig
from gateway.errors import FeedError, TokenRefusedError

WS_URL = "wss://ws.kite.trade"
REST_URL = "https://api.kite.trade"


def rest_url(config: FeedConfig) -> str:
    """Base of the REST API, without a slash at the end."""
    return (config.rest_url or REST_URL).rstrip("/")


def auth_headers(config: FeedConfig) -> dict[str, str]:
    """Headers of an authenticated REST call; never log them."""
    headers = {"X-Kite-Version": "3"}
    if config.api_key and config.access_token:
        headers["Authorization"] = f"token {config.api_key}:{config.access_token}"
    return headers


def stream_url(config: FeedConfig) -> str:
    """The stream's address with the credentials in its query; never log it.

    Raises TokenRefusedError without credentials and FeedError where the address is no URL.
    """
    if not config.api_key or not config.access_token:
        raise TokenRefusedError("zerodha needs ZERODHA_API_KEY and ZERODHA_ACCESS_TOKEN")
    base = config.ws_url or WS_URL
    query = f"api_key={quote(config.api_key, safe='')}&access_token={quote(config.access_token, safe='')}"
    return f"{base}{'&' if _split(base).query else '?'}{query}"


def stream_host(config: FeedConfig) -> str:
    """The stream's host, for logs and errors."""
    return _split(config.ws_url or WS_URL).netloc.rpartition("@")[2]


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise FeedError("ZERODHA_WS_URL is not a URL such as wss://ws.kite.trade") from None
