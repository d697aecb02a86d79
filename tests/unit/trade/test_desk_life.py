"""Random lives of the whole desk: orders, ticks, failing commits, restarts. After each step the books add up, the
matcher holds what rests, nothing acknowledged is lost and nothing fills twice."""

# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import asyncio
from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.errors import StoreError
from gateway.trade.core.audit import check_book
from gateway.trade.core.changes import Row, Settlement, Trade, identity
from gateway.trade.core.errors import OrderError
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.orders import Order
from gateway.trade.core.positions import Holding, Position
from gateway.trade.days import Days
from gateway.trade.ports import StoredUser, Transaction, UserState
from tests.reference.books import recompute
from tests.unit.trade.desk import CALENDAR, FUT, RECORDS
from tests.unit.trade.floor import Floor

USERS = st.sampled_from(["asha", "ravi"])
SYMBOLS = st.sampled_from(["SBIN", "SBIN", "INFY", FUT])
ACTIONS = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(90, 110)
LOTS = st.integers(1, 3)
KINDS = st.sampled_from(["MARKET", "LIMIT", "LIMIT", "SL", "SL-M"])
PICK = st.integers(0, 10**6)


class Database:
    """What has committed, by user: rows, trades in order, and numbers without gaps."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[object, ...], Row]] = {}
        self.states: dict[str, UserState] = {}
        self.journal: dict[str, list[Trade | Settlement]] = {}
        self.seqs: dict[str, list[int]] = {}
        self.kept = 0

    def take(self, committed: list[Transaction]) -> None:
        """Takes over what has been committed since the last call."""
        for transaction in committed[self.kept :]:
            user = transaction.user_id
            rows, journal = self.rows.setdefault(user, {}), self.journal.setdefault(user, [])
            for row in transaction.rows:
                if isinstance(row, Trade):
                    assert not any(isinstance(old, Trade) and old.orderid == row.orderid for old in journal), "twice"
                if isinstance(row, Trade | Settlement):
                    journal.append(row)
                else:
                    rows[identity(row)] = row
            self.states[user] = transaction.user
            self.seqs.setdefault(user, []).extend(event.seq for event in transaction.events if event.seq is not None)
        self.kept = len(committed)

    def of(self, user: str, kind: type[Any]) -> list[Any]:
        """All rows of one kind."""
        return [row for row in self.rows.get(user, {}).values() if isinstance(row, kind)]

    def users(self) -> list[StoredUser]:
        """As a start-up loads them."""
        return [self._user(user) for user in self.rows]

    def _user(self, user: str) -> StoredUser:
        funds = next(iter(self.of(user, Funds)), None)
        trades = [row for row in self.journal[user] if isinstance(row, Trade)]
        orders, gtts = self.of(user, Order), self.of(user, Gtt)
        positions, holdings = self.of(user, Position), self.of(user, Holding)
        return StoredUser(user, self.states[user], funds, orders, positions, holdings, gtts, trades)


class Life(RuleBasedStateMachine):
    """Two users on one floor."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.database = Database()
        self.start = 10**15
        self.acknowledged: set[tuple[str, str]] = set()
        self.floor = self.wait(self.make())
        self.pending: list[tuple[str, asyncio.Task[dict[str, Any]]]] = []

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.end_calls()
            self.loop.close()

    async def make(self) -> Floor:
        return Floor()

    def wait(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def turn(self, number: int = 4) -> None:
        """Lets the event loop go round."""

        async def turns() -> None:
            for _ in range(number):
                await asyncio.sleep(0)

        self.wait(turns())

    def begin_call(self, endpoint: str, user: str, fields: dict[str, Any]) -> None:
        task = self.loop.create_task(self.floor.service.call(user, endpoint, fields))
        self.pending.append((user, task))
        self.turn()

    def collect(self) -> None:
        """Notes which orders have been acknowledged."""
        self.turn()
        self.database.take(self.floor.writer.committed)
        for user, task in [one for one in self.pending if one[1].done()]:
            self.pending.remove((user, task))
            try:
                answer = task.result()
            except (OrderError, StoreError):
                continue
            self.acknowledged |= {(user, answer["orderid"])} if "orderid" in answer else set()

    def end_calls(self) -> None:
        for _, task in self.pending:
            task.cancel()
        self.turn()
        self.pending.clear()

    @rule(user=USERS, symbol=SYMBOLS, action=ACTIONS, lots=LOTS, kind=KINDS, price=PRICES, trigger=PRICES)
    def place(self, user: str, symbol: str, action: str, lots: int, kind: str, price: int, trigger: int) -> None:
        record = RECORDS[symbol]
        product = "NRML" if record.exchange == "NFO" else "MIS" if lots < 3 else "CNC"
        fields = {
            "symbol": symbol, "exchange": record.exchange, "action": action, "product": product, "pricetype": kind,
            "quantity": lots * max(1, record.lotsize), "price": price, "trigger_price": trigger,
        }  # fmt: skip
        self.begin_call("placeorder", user, fields)

    @rule(user=USERS, symbol=st.sampled_from(["SBIN", FUT]), action=ACTIONS, low=PRICES, up=st.integers(1, 9))
    def place_gtt(self, user: str, symbol: str, action: str, low: int, up: int) -> None:
        record = RECORDS[symbol]
        fields = {
            "symbol": symbol, "exchange": record.exchange, "action": action, "trigger_type": "OCO",
            "product": "NRML" if record.exchange == "NFO" else "CNC", "quantity": max(1, record.lotsize),
            "triggerprice_sl": low, "triggerprice_tg": low + up, "stoploss": low, "target": low + up,
        }  # fmt: skip
        self.begin_call("placegttorder", user, fields)

    def some(self, user: str, pick: int) -> Order | None:
        entry = self.floor.desk.users.get(user)
        orders = sorted(entry.account.ledger.orders.values(), key=lambda one: one.orderid) if entry else []
        return orders[pick % len(orders)] if orders else None

    @rule(user=USERS, pick=PICK)
    def cancel(self, user: str, pick: int) -> None:
        order = self.some(user, pick)
        if order is not None:
            self.begin_call("cancelorder", user, {"orderid": order.orderid})

    @rule(user=USERS, pick=PICK, price=PRICES, kind=KINDS)
    def modify(self, user: str, pick: int, price: int, kind: str) -> None:
        order = self.some(user, pick)
        if order is not None:
            fields = {"orderid": order.orderid, "price": price, "trigger_price": price, "pricetype": kind}
            self.begin_call("modifyorder", user, fields)

    @rule(user=USERS, endpoint=st.sampled_from(["cancelallorder", "closeposition"]))
    def all_of_them(self, user: str, endpoint: str) -> None:
        self.begin_call(endpoint, user, {})

    @rule(symbol=SYMBOLS, ltp=PRICES, spread=st.integers(0, 2))
    def tick(self, symbol: str, ltp: int, spread: int) -> None:
        sides = {"bid": ltp - spread, "ask": ltp + spread} if spread else {}
        self.floor.tick(ltp, symbol, **sides)
        self.turn()

    @rule(number=st.integers(1, 6), fail=st.sampled_from([False, False, False, True]))
    def commit(self, number: int, fail: bool) -> None:
        self.floor.writer.commit(number, fail)
        self.collect()

    @rule(hours=st.sampled_from([0.01, 1.0, 4.0, 24.0, 24.0 * 14]))
    def later(self, hours: float) -> None:
        self.floor.now += timedelta(hours=hours)
        days = Days(self.floor.desk, CALENDAR, self.floor.prices, {}, "never")
        self.wait(days.run(self.floor.now))

    @rule()
    def restart(self) -> None:
        """As kill -9: what has not committed is gone, with the matcher, and with every last price."""
        self.end_calls()
        now, before = self.floor.now, self.floor
        before.writer.waiting.clear()
        self.floor = self.wait(self.make())
        self.floor.now, self.floor.ns = now, before.ns
        self.start += 10_000
        self.floor.desk._ids = iter_ids(self.start)
        self.floor.desk.load(self.database.users())
        self.database.kept = 0
        before.writer.committed = []

    @invariant()
    def books_add_up(self) -> None:
        if hasattr(self, "floor"):
            self.floor.check()
            assert not self.floor.desk.faults

    @invariant()
    def what_committed_adds_up(self) -> None:
        if not hasattr(self, "floor"):
            return
        self.database.take(self.floor.writer.committed)
        for user, state in self.database.states.items():
            of = self.database.of
            funds = next(iter(of(user, Funds)), None)
            if funds is not None:
                assert check_book(funds, of(user, Order), of(user, Position), of(user, Holding), of(user, Gtt)) == []
            assert self.database.seqs[user] == list(range(1, state.seq + 1)), "numbers without gaps"
            self.trades_give_the_positions(user)

    def trades_give_the_positions(self, user: str) -> None:
        books = recompute(self.database.journal[user])
        for position in self.database.of(user, Position):
            line = books.positions.get(position.key)
            assert Fraction(position.quantity) == (line.quantity if line else 0)
            assert abs(Fraction(position.realised) - (line.realised if line else 0)) < Fraction(1, 10**9)

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        if hasattr(self, "floor"):
            for user, orderid in self.acknowledged:
                assert ("order", orderid) in self.database.rows[user]


def iter_ids(start: int) -> Any:
    numbers = iter(range(start, start + 10**6))
    return lambda: str(next(numbers))


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
