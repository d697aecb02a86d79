"""The REST half of Zerodha: quotes by asking (KITE_REST "Quotes"), used while the stream is silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from sys import intern

import httpx

from adapters.base import FeedConfig
from adapters.zerodha.endpoints import auth_headers, rest_url
from adapters.zerodha.rest import QUOTES_PER_REQUEST, payloads, quote_rows
from gateway.errors import FeedError, InstrumentError, TokenRefusedError
from gateway.instruments.load import load_for
from gateway.instruments.table import master_path, read_master
from gateway.model import Instrument

#: from one answer to the next request, s: the broker takes one quote call per second (KITE_REST "Errors")
SPACING_S = 1.0
#: longest wait of each step of a request, s
TIMEOUT_S = 3.0


class KiteQuotes:
    """Asks `/quote`. `config.options["home"]` is GATEWAY_HOME, where the stream half keeps the instrument master.

    The broker is asked by `EXCHANGE:TRADINGSYMBOL`, which unlike a token never comes to mean another instrument:
    a master of yesterday serves until the stream half has written today's.
    """

    name: str = "zerodha"
    batch: int = QUOTES_PER_REQUEST

    def __init__(
        self,
        config: FeedConfig,
        clock_ns: Callable[[], int],
        *,
        spacing_s: float = SPACING_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.config = config
        #: requests made, for metrics
        self.calls = 0
        self._clock_ns = clock_ns
        self._spacing_s = spacing_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._turn = asyncio.Lock()
        self._not_before = 0.0
        self._names: dict[Instrument, str] = {}
        #: what the names were read from: modification time (ns) and size of the master
        self._read_from: tuple[int, int] | None = None
        self._loading = asyncio.Lock()

    async def prepare(self) -> None:
        """Reads the instrument master where it changed; loads it from the broker where there is none.

        Raises InstrumentError, or TokenRefusedError where the broker refuses the download.
        """
        async with self._loading:
            path = master_path(Path(self.config.options["home"]), self.name)
            mark = _mark(path)
            if mark is None:
                await asyncio.to_thread(load_for, self.config, None, Path(self.config.options["home"]))
                mark = _mark(path)
            if mark != self._read_from:
                self._names = await asyncio.to_thread(_names, path)
                self._read_from = mark

    def knows(self, instrument: Instrument) -> bool:
        """True where the master lists the instrument."""
        return instrument in self._names

    async def multiquotes(self, instruments: Sequence[Instrument]) -> dict[Instrument, bytes]:
        """Payloads of Quote ticks; instruments that are not listed or not answered for are missing.

        500 instruments at most go into one request, and requests keep a second's distance: 2000 instruments take
        more than three seconds. Raises TokenRefusedError or FeedError.
        """
        names = {name: each for each in instruments if (name := self._names.get(each)) is not None}
        keys, found = list(names), dict[Instrument, bytes]()
        for start in range(0, len(keys), QUOTES_PER_REQUEST):
            part = {key: names[key] for key in keys[start : start + QUOTES_PER_REQUEST]}
            found |= await self._ask(part)
        return found

    def new_token(self, config: FeedConfig) -> None:
        """Takes fresh credentials for the next request."""
        self.config = config

    async def close(self) -> None:
        """Closes the connections to the broker."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(self, names: Mapping[str, Instrument]) -> dict[Instrument, bytes]:
        """One request, when its turn has come.

        The spacing counts from the answer of the one before: however long that was under way, the broker saw no two
        within a spacing.
        """
        async with self._turn:
            client = self._ready_client()
            await asyncio.sleep(self._not_before - time.monotonic())
            self.calls += 1
            try:
                rows = await quote_rows(client, list(names))
            finally:
                self._not_before = time.monotonic() + self._spacing_s
        return payloads(rows, names, self._clock_ns() // 1_000_000)

    def _ready_client(self) -> httpx.AsyncClient:
        """The client, its headers those of the present credentials."""
        if not self.config.api_key or not self.config.access_token:
            raise TokenRefusedError("zerodha needs ZERODHA_API_KEY and ZERODHA_ACCESS_TOKEN")
        try:
            if self._client is None:
                self._client = httpx.AsyncClient(timeout=TIMEOUT_S, transport=self._transport)
            self._client.base_url = httpx.URL(rest_url(self.config))
            self._client.headers = httpx.Headers(auth_headers(self.config), encoding="ascii")
        except httpx.InvalidURL:
            raise FeedError("ZERODHA_REST_URL is not a URL such as https://api.kite.trade") from None
        except UnicodeEncodeError:
            # the error's own text would quote the credentials
            raise TokenRefusedError("ZERODHA_API_KEY or ZERODHA_ACCESS_TOKEN is not plain ASCII") from None
        return self._client


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InstrumentError(f"{path} cannot be read: {error.strerror}") from None
    return status.st_mtime_ns, status.st_size


def _names(path: Path) -> dict[Instrument, str]:
    """Common instrument -> the broker's `EXCHANGE:TRADINGSYMBOL`; an index stands under NSE, BSE and so on."""
    return {
        Instrument(intern(row.exchange), row.symbol): f"{row.brexchange}:{row.brsymbol}" for row in read_master(path)
    }
