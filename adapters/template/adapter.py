"""Template of a broker adapter: a WebSocket that speaks plain JSON. It works against the server in its test.

To make a new adapter:

1. Copy this folder to `adapters/<family>/` and the test to `tests/unit/adapters/`. Brokers that share a protocol
   share one package; what differs between them is rows of data.
2. Put the names into `adapters/registry.py` (ADAPTERS, LIMITS) and record real frames as test vectors.
3. Translate, nothing else. The pool counts wants, places them on connections, batches, reconnects with
   backoff, resubscribes and watches for silence. An adapter never retries and never sleeps.
4. Raise TokenRefusedError for a token that is no good (the pool stops and waits for a new one) and FeedError
   for all that a retry may mend. Never put a URL, header or body with a token into an error's text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSError

from adapters.base import Adapter, FeedConfig, FeedConnection, Limits
from gateway.errors import FeedError, TokenRefusedError
from gateway.model import Instrument, Mode, Want
from gateway.ports import TickSink

#: the broker's word for each mode
_MODE_WORDS = {Mode.LTP: "price", Mode.QUOTE: "quote", Mode.DEPTH: "book"}
#: a connection attempt is given up after this, s
_HANDSHAKE_TIMEOUT_S = 10.0

# picows writes the request, credentials included, into its debug log: this logger stays above that
_quiet = logging.getLogger("adapters.template.picows")
_quiet.setLevel(logging.WARNING)


class TemplateAdapter(Adapter):
    """Knows the broker: its instruments and what their ids are."""

    name: ClassVar[str] = "template"
    #: where the numbers come from is said here: document and section
    limits: ClassVar[Limits] = Limits(symbols_per_connection=1000, connections=1, silence_s=30.0, batch=100)

    def __init__(self, config: FeedConfig, sink: TickSink, clock_ns: Callable[[], int]) -> None:
        super().__init__(config, sink, clock_ns)
        self.ids: dict[Instrument, str] = {}
        self.topics: dict[tuple[str, str], bytes] = {}
        #: ticks of ids nobody knows, and frames that are no tick
        self.dropped = 0

    async def prepare(self) -> None:
        """Loads the instrument master. A real adapter uses `gateway.instruments` in a worker thread."""
        self.ids = {Instrument("NSE", "SBIN"): "3045", Instrument("NSE", "TCS"): "11536"}
        # Topics are built once, not per tick.
        for instrument, broker_id in self.ids.items():
            for mode, word in _MODE_WORDS.items():
                self.topics[broker_id, word] = instrument.topic(mode)

    def knows(self, instrument: Instrument) -> bool:
        """True where the master lists the instrument."""
        return instrument in self.ids

    def open(self, on_closed: Callable[[Exception | None], None]) -> FeedConnection:
        """Only makes the object: credentials are read from `self.config` when it connects."""
        return TemplateConnection(self, on_closed)


class TemplateConnection(FeedConnection):
    """Knows the protocol: login, requests, frames."""

    def __init__(self, adapter: TemplateAdapter, on_closed: Callable[[Exception | None], None]) -> None:
        self._adapter = adapter
        self._on_closed = on_closed
        self._transport: WSTransport | None = None
        self._closing = False

    async def connect(self) -> None:
        """Opens and logs in. Raises FeedError where the broker cannot be reached."""
        try:
            # `from None` and no text of the error: it may quote the URL
            self._transport, _ = await ws_connect(
                lambda: _Listener(self),
                self._adapter.config.ws_url,
                websocket_handshake_timeout=_HANDSHAKE_TIMEOUT_S,
                logger_name=_quiet,
            )
        except (OSError, WSError, TimeoutError) as error:
            raise FeedError(f"template cannot be reached: {type(error).__name__}") from None
        self.last_frame_ns = time.monotonic_ns()
        self._send({"op": "login", "token": self._adapter.config.access_token})

    async def subscribe(self, wants: Sequence[Want]) -> None:
        """One request per mode; this broker takes a second subscription of an id as a change of mode."""
        for mode, word in _MODE_WORDS.items():
            ids = [self._adapter.ids[want.instrument] for want in wants if want.mode is mode]
            if ids:
                self._send({"op": "subscribe", "mode": word, "ids": ids})

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stops ids in every mode."""
        self._send({"op": "unsubscribe", "ids": [self._adapter.ids[instrument] for instrument in instruments]})

    async def close(self) -> None:
        """Closes; `on_closed` stays silent."""
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect()

    def on_text(self, data: bytes) -> None:
        """A tick, or the answer to the login."""
        try:
            message: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._adapter.dropped += 1
        elif message.get("error") == "token":
            self.on_lost(TokenRefusedError("template refused the access token"))
        else:
            self._on_tick(message)

    def on_lost(self, error: Exception | None) -> None:
        """Tells the pool, once, unless the close was asked for."""
        if not self._closing:
            self._closing = True
            self._on_closed(error)

    def _on_tick(self, message: dict[str, Any]) -> None:
        topic = self._adapter.topics.get((str(message.get("id")), str(message.get("mode"))))
        price = message.get("price")
        if topic is None or not isinstance(price, int | float):
            self._adapter.dropped += 1
            return
        # Units of the common tick: rupees, epoch ms; a field the broker does not send is left out, never zero.
        tick: dict[str, Any] = {"ltp": price, "timestamp": self._adapter.clock_ns() // 1_000_000}
        if message.get("traded_at"):
            tick["ltt"] = message["traded_at"] * 1000
        # A frame with many ticks is published in one call.
        self._adapter.sink.publish([(topic, orjson.dumps(tick))], self._adapter.name)

    def _send(self, request: dict[str, Any]) -> None:
        if self._transport is None or self._transport.is_disconnected:
            raise FeedError("template is not connected")
        self._transport.send(WSMsgType.TEXT, orjson.dumps(request))


class _Listener(WSListener):
    """picows' callbacks. Every frame, also a heartbeat, counts as a sign of life."""

    def __init__(self, connection: TemplateConnection) -> None:
        self._connection = connection

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._connection.last_frame_ns = time.monotonic_ns()
        if frame.msg_type == WSMsgType.TEXT:
            self._connection.on_text(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._connection.on_lost(FeedError("the template stream broke off"))
