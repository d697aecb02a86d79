"""One connection to the Kite stream (KITE sections 1 to 5): requests out, ticks into the engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import orjson
import structlog
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSError, WSHandshakeError

from adapters.base import FeedConnection
from adapters.zerodha.endpoints import stream_host, stream_url
from gateway.errors import FeedError, TokenRefusedError
from gateway.model import Instrument, Mode, Want

if TYPE_CHECKING:
    from adapters.zerodha.adapter import ZerodhaAdapter

log = structlog.get_logger(__name__)

#: instruments in one request; no documented limit, but a cautious one (KITE section 9)
TOKENS_PER_REQUEST = 200
#: the broker's word for each mode; Depth needs `full` (KITE section 2)
MODE_WORDS = {Mode.LTP: "ltp", Mode.QUOTE: "quote", Mode.DEPTH: "full"}
#: a connection attempt is given up after this, s
HANDSHAKE_TIMEOUT_S = 10.0
#: bounds a frame, and a message in pieces, bytes: 3000 full packets are 558 kB
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
#: the part of a broker's text that is logged, characters
MAX_LOGGED = 300

# picows writes requests, which hold the credentials, into its debug log: this logger stays above that
_quiet = logging.getLogger("adapters.zerodha.picows")
_quiet.setLevel(logging.WARNING)


class KiteConnection(FeedConnection):
    """A connection to `ws.kite.trade`. Every frame counts as a sign of life, the 1-byte heartbeat too."""

    def __init__(self, adapter: ZerodhaAdapter, on_closed: Callable[[Exception | None], None]) -> None:
        self._adapter = adapter
        self._on_closed = on_closed
        self._transport: WSTransport | None = None
        #: token -> what it stood for when it was subscribed
        self._subscribed: dict[int, Instrument] = {}
        self._closing = False

    async def connect(self) -> None:
        """Opens the stream, on a new day with a new instrument master.

        Raises TokenRefusedError on HTTP 401 and 403, FeedError on all else, InstrumentError without a master.
        """
        await self._adapter.ensure_current()
        config = self._adapter.config
        url, host = stream_url(config), stream_host(config)
        # the errors of picows may quote the URL, so none of them is chained or shown
        try:
            self._transport, _ = await ws_connect(
                lambda: _Listener(self),
                url,
                websocket_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                logger_name=_quiet,
                max_frame_size=MAX_MESSAGE_BYTES,
                max_redirects=0,
                extra_headers={"X-Kite-Version": "3"},
            )
        except WSHandshakeError as error:
            raise _handshake_error(error, host) from None
        except OSError as error:
            raise FeedError(f"{host} cannot be reached: {error.strerror or type(error).__name__}") from None
        except (WSError, TimeoutError, ValueError) as error:
            raise FeedError(f"{host} cannot be reached: {type(error).__name__}") from None
        except asyncio.CancelledError:
            # a handshake that ends after this must not leave a connection behind: the broker counts them
            self._closing = True
            raise
        self.last_frame_ns = time.monotonic_ns()
        if not self._closing:
            self._adapter.opened(self)

    async def subscribe(self, wants: Sequence[Want]) -> None:
        """Subscribes what is new, then sets the mode of all. Raises FeedError when not connected."""
        modes: dict[Mode, list[int]] = {}
        meanings: dict[int, Instrument] = {}
        for want in wants:
            token = self._token(want.instrument)
            if token is not None:
                modes.setdefault(want.mode, []).append(token)
                meanings[token] = want.instrument
        new = [token for tokens in modes.values() for token in tokens if token not in self._subscribed]
        for part in _parts(list(dict.fromkeys(new))):
            self._send({"a": "subscribe", "v": part})
        self._subscribed.update(meanings)
        for mode, tokens in modes.items():
            for part in _parts(tokens):
                self._send({"a": "mode", "v": [MODE_WORDS[mode], part]})

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stops instruments; those not subscribed here are passed over. Raises FeedError when not connected."""
        tokens = [self._token(instrument) for instrument in instruments]
        held = [token for token in tokens if token in self._subscribed and token is not None]
        for part in _parts(held):
            self._send({"a": "unsubscribe", "v": part})
        for token in held:
            self._subscribed.pop(token, None)

    async def close(self) -> None:
        """Says goodbye and closes; `on_closed` stays silent."""
        self._closing = True
        self._adapter.gone(self)
        transport, self._transport = self._transport, None
        if transport is not None and not transport.is_disconnected:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    @property
    def abandoned(self) -> bool:
        """True once nobody wants this connection any more, also when its handshake is still under way."""
        return self._closing

    def on_new_master(self) -> None:
        """Breaks off where something held here has another token now: the next connection asks for the new one."""
        listed = self._adapter.listed
        changed = [
            each for token, each in self._subscribed.items() if (row := listed(each)) is None or row.token != token
        ]
        if changed:
            log.info("zerodha reconnects: instruments have new tokens", changed=len(changed))
            transport = self._transport
            self.on_lost(FeedError("the day's instrument master has new tokens"))
            if transport is not None:
                transport.disconnect()

    def on_ticks(self, frame: bytes) -> None:
        """Decodes a binary frame and hands its ticks on."""
        adapter = self._adapter
        ticks = adapter.decoder.decode(frame, adapter.clock_ns() // 1_000_000)
        if ticks:
            adapter.sink.publish(ticks, adapter.name)

    def on_text(self, data: bytes) -> None:
        """Counts order postbacks and logs errors and notices (KITE section 4)."""
        try:
            message: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        counts = self._adapter.counts
        if kind not in ("order", "error", "message"):
            counts["other_text"] += 1
            return
        counts[kind] += 1
        if kind == "error":
            log.warning("zerodha reports an error", text=self._loggable(message.get("data")))
        elif kind == "message":
            log.info("zerodha notice", text=self._loggable(message.get("data")))

    def on_lost(self, error: Exception | None) -> None:
        """Tells the pool, unless the close was asked for."""
        self._transport = None
        self._subscribed.clear()
        self._adapter.gone(self)
        if not self._closing:
            self._closing = True
            self._on_closed(error)

    def _send(self, request: dict[str, Any]) -> None:
        if self._transport is None or self._transport.is_disconnected:
            raise FeedError("zerodha is not connected")
        self._transport.send(WSMsgType.TEXT, orjson.dumps(request))

    def _token(self, instrument: Instrument) -> int | None:
        row = self._adapter.listed(instrument)
        if row is None:
            # the master was loaded anew and the instrument has gone: nothing to ask for
            log.warning("instrument not in the zerodha master", exchange=instrument.exchange, symbol=instrument.symbol)
            return None
        return row.token

    def _loggable(self, value: object) -> str:
        text = str(value)
        for secret in (self._adapter.config.api_key, self._adapter.config.access_token):
            if secret:
                text = text.replace(secret, "***")
        return text[:MAX_LOGGED]


class _Listener(WSListener):
    """picows' callbacks; joins messages that come in several frames."""

    def __init__(self, connection: KiteConnection) -> None:
        self._connection = connection
        self._pieces = bytearray()
        self._kind: WSMsgType | None = None
        self._error: Exception | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._connection.abandoned:
            transport.disconnect()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._connection.last_frame_ns = time.monotonic_ns()
        kind = frame.msg_type
        if kind == WSMsgType.BINARY and frame.fin:
            self._connection.on_ticks(frame.get_payload_as_bytes())
        elif kind == WSMsgType.TEXT and frame.fin:
            self._connection.on_text(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.BINARY, WSMsgType.TEXT):
            self._kind, self._pieces = kind, bytearray(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CONTINUATION:
            self._continue(transport, frame)
        elif kind == WSMsgType.CLOSE:
            # picows does not answer a CLOSE by itself
            self._error = FeedError(f"zerodha closed the stream with code {_code(frame)}")
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._connection.on_lost(self._error or FeedError("the zerodha stream broke off"))

    def _continue(self, transport: WSTransport, frame: WSFrame) -> None:
        self._pieces += frame.get_payload_as_memoryview()
        if len(self._pieces) > MAX_MESSAGE_BYTES:
            self._error = FeedError("zerodha sent a message that is too long")
            transport.disconnect()
        elif frame.fin:
            message, kind = bytes(self._pieces), self._kind
            self._pieces, self._kind = bytearray(), None
            if kind == WSMsgType.BINARY:
                self._connection.on_ticks(message)
            elif kind == WSMsgType.TEXT:
                self._connection.on_text(message)


def _parts(tokens: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(tokens), TOKENS_PER_REQUEST):
        yield tokens[start : start + TOKENS_PER_REQUEST]


def _code(frame: WSFrame) -> int:
    # an IntEnum member, or a plain int for a code it does not know; the stub of picows says Enum
    return int(cast(int, frame.get_close_code()))


def _handshake_error(error: WSHandshakeError, host: str) -> FeedError:
    if error.response is None:
        return FeedError(f"{host} is no WebSocket server")
    status = int(error.response.status)
    if status in (401, 403):
        return TokenRefusedError(f"zerodha refused the access token (HTTP {status})")
    return FeedError(f"{host} answered HTTP {status} in place of a WebSocket")
