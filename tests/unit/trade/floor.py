"""A trading floor without processes: the desk and the service on real matcher and core, a writer and prices by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from itertools import count
from typing import Any

import orjson
from gateway_matcher import Matcher

from gateway.errors import CapacityError, StoreError
from gateway.instruments.record import InstrumentRecord
from gateway.model import Instrument, Mode
from gateway.trade.core.audit import check_ledger
from gateway.trade.core.errors import OrderError
from gateway.trade.core.judge import Quote
from gateway.trade.core.ledger import Rules
from gateway.trade.core.margin import LeverageModel
from gateway.trade.desk import Desk
from gateway.trade.matching import Matching
from gateway.trade.ports import Kept, StreamTick, Transaction
from gateway.trade.service import Service
from tests.unit.trade.desk import CALENDAR, CAPITAL, NOON, RECORDS

SBIN = Instrument("NSE", "SBIN")
_AGE_NS = 60 * 10**9


class HandWriter:
    """Commits when told, or fails; as the writer thread it fails everything that builds on a failure."""

    def __init__(self) -> None:
        self.waiting: deque[Transaction] = deque()
        self.committed: list[Transaction] = []
        self.full = False
        self._failed: dict[str, int] = {}

    def submit(self, transaction: Transaction) -> None:
        if self.full:
            raise CapacityError("full", 0)
        self.waiting.append(transaction)

    def commit(self, number: int = 10**9, fail: bool = False) -> None:
        """Ends the oldest transactions; `fail` fails the first of them."""
        for _ in range(min(number, len(self.waiting))):
            transaction = self.waiting.popleft()
            if fail or transaction.generation <= self._failed.get(transaction.user_id, -1):
                self._failed[transaction.user_id] = transaction.generation
                transaction.done(StoreError("database: away"))
            else:
                self.committed.append(transaction)
                transaction.done(None)
            fail = False


class HandPrices:
    """Prices as the matcher knows them; all are fresh unless `old`."""

    def __init__(self, matcher: Matcher) -> None:
        self.matching: Matching | None = None
        self._matcher = matcher
        self.held: dict[Instrument, set[str]] = {}
        self.old: set[Instrument] = set()
        self.stale = False
        self.waited: list[Instrument] = []

    def hold(self, holder: str, instruments: Iterable[Instrument]) -> None:
        for one in instruments:
            self.held.setdefault(one, set()).add(holder)

    def release(self, holder: str, instruments: Iterable[Instrument]) -> None:
        for one in instruments:
            self.held[one].discard(holder)
            if not self.held[one]:
                del self.held[one]

    def fresh(self, instrument: Instrument) -> Quote | None:
        assert self.matching is not None
        return None if instrument in self.old else self.matching.quote(instrument)

    def last(self, instrument: Instrument) -> Decimal | None:
        assert self.matching is not None
        found = self.matching.quote(instrument)
        return found.ltp if found else None

    def age_s(self, instrument: Instrument) -> float:
        return 0.0 if self.fresh(instrument) else 1e9

    async def wait_for(self, instrument: Instrument, wait_s: float = 1.0) -> Quote | None:
        self.waited.append(instrument)
        await asyncio.sleep(0)
        return self.fresh(instrument)

    async def payload(self, instrument: Instrument, mode: Mode, wait_s: float = 1.0) -> Mapping[str, Any] | None:
        found = self._matcher.last_value(*instrument, int(mode))
        return orjson.loads(found[0]) if found else None

    def paused(self) -> bool:
        return self.stale


class Told:
    """Remembers what went to the bus."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []

    def publish(self, user_id: str, payload: bytes, mode: str = "ANALYZE") -> None:
        self.updates.append(orjson.loads(payload))


class Directory:
    """The records of the tests."""

    def find(self, exchange: str, symbol: str) -> InstrumentRecord | None:
        record = RECORDS.get(symbol)
        return record if record is not None and record.exchange == exchange else None

    def search(self, text: str, exchange: str, limit: int) -> list[InstrumentRecord]:
        return [record for record in RECORDS.values() if text.upper() in record.symbol][:limit]

    def expiries(self, name: str, exchange: str, options: bool) -> list[str]:
        return []

    def all(self, exchange: str) -> list[InstrumentRecord]:
        return list(RECORDS.values())


class NoQueries:
    """A database that knows nothing."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Kept] = {}

    async def order(self, user_id: str, orderid: str) -> None:
        return None

    async def gtt(self, user_id: str, trigger_id: str) -> None:
        return None

    async def kept(self, user_id: str, key: str) -> Kept | None:
        return self.answers.get((user_id, key))


class NoPolls:
    """A fallback source without answers."""

    async def quotes(self, instruments: Collection[Instrument]) -> Mapping[Instrument, bytes]:
        return {}


class Floor:
    """Make it inside a running event loop."""

    def __init__(self, capital: Decimal = CAPITAL) -> None:
        self.now = NOON
        self.ns = 10**18
        self.matcher = Matcher()
        self.matching = Matching(self.matcher, lambda: self.ns, _AGE_NS)
        self.writer, self.prices, self.told = HandWriter(), HandPrices(self.matcher), Told()
        self.prices.matching = self.matching
        ids = count(10**15)
        self.directory = Directory()
        self.desk = Desk(
            self.matching, self.writer, self.prices, self.directory, Rules(CALENDAR, LeverageModel(), capital),
            lambda: str(next(ids)), lambda: self.now, self.told,
        )  # fmt: skip
        self.service = Service(self.desk, self.prices, self.directory, NoQueries(), NoPolls())  # type: ignore[arg-type]

    def tick(self, ltp: object, symbol: str = "SBIN", replay: bool = False, **fields: object) -> None:
        """One tick of an instrument."""
        self.ns += 1_000_000
        topic = f"{RECORDS[symbol].exchange}_{symbol}_QUOTE".encode()
        payload = orjson.dumps({"ltp": float(str(ltp)), **fields})
        tick: StreamTick = (topic, payload, self.ns, replay)
        self.desk.on_ticks([tick])

    async def ask(self, endpoint: str, user: str = "asha", fail: bool = False, **fields: Any) -> dict[str, Any]:
        """One call, committed (or failed) as soon as it has been submitted. Raises what the call raises."""
        task = asyncio.ensure_future(self.service.call(user, endpoint, fields))
        while not task.done():
            await asyncio.sleep(0)
            self.writer.commit(fail=fail)
        return task.result()

    async def order(self, action: str, quantity: object, symbol: str = "SBIN", **fields: Any) -> str:
        """Places an order and gives its id."""
        answer = await self.ask(
            "placeorder", symbol=symbol, exchange=RECORDS[symbol].exchange, action=action, quantity=quantity, **fields
        )
        return str(answer["orderid"])

    async def refused(self, endpoint: str, user: str = "asha", **fields: Any) -> OrderError:
        """A call that must be refused; gives the error."""
        try:
            await self.ask(endpoint, user, **fields)
        except OrderError as error:
            return error
        raise AssertionError(f"{endpoint} was not refused")

    def check(self) -> None:
        """Books add up; the matcher holds what rests and is committed; subscriptions are what is needed."""
        needed: set[Instrument] = set()
        resting = gtts = 0
        for entry in self.desk.users.values():
            ledger = entry.account.ledger
            assert check_ledger(ledger) == []
            resting += len(ledger.resting)
            gtts += sum(gtt.active for gtt in ledger.gtts.values())
            needed |= set(entry.needs.values())
        assert set(self.prices.held) == needed
        if not self.writer.waiting and not any(entry.decisions for entry in self.desk.users.values()):
            assert self.matching.resting == (resting, gtts)
