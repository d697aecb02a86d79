"""Random lives of an account: after each step the invariants hold, the rows tell everything, and the books equal a
naive recomputation from the trades."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.model import Instrument
from gateway.trade.core.audit import check_book, check_ledger
from gateway.trade.core.book import Account
from gateway.trade.core.changes import Changes, Row, Settlement, Trade
from gateway.trade.core.errors import OrderError
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt, Side
from gateway.trade.core.ledger import Ledger, Rules
from gateway.trade.core.margin import LeverageModel
from gateway.trade.core.orders import Key, Order
from gateway.trade.core.positions import Holding, Position
from tests.reference.books import recompute
from tests.unit.trade.desk import CALENDAR, CALL, FUT, NOON, RECORDS, ask_for, ask_gtt, dec, numbered, quote

SYMBOLS = ["SBIN"] * 9 + ["INFY", FUT, CALL, "BTCUSDFUT"]
ACTIONS = st.sampled_from(["BUY", "SELL"])
LOTS = st.sampled_from([1, 2, 3, 4, 6, 9])
PRICES = st.integers(1, 40).map(lambda n: Decimal(n) * Decimal("2.5"))
LTPS = st.one_of(PRICES, PRICES, PRICES, st.none())
TYPES = st.sampled_from(["MARKET", "MARKET", "LIMIT", "LIMIT", "SL", "SL-M"])
PICK = st.integers(0, 10**6)
#: positions, holdings and orders by identity, with what they block
Margins = dict[tuple[Any, ...], Decimal]


def state(ledger: Ledger) -> tuple[object, ...]:
    """Everything that an undo must bring back."""
    parts = ledger.orders, ledger.positions, ledger.holdings, ledger.gtts, ledger.resting, ledger.reserved
    return ledger.funds, *(copy(part) for part in parts)


def margins(ledger: Ledger) -> Margins:
    blocked: Margins = {("order", o.orderid): o.margin for o in ledger.orders.values()}
    blocked |= {("gtt", g.trigger_id): g.margin for g in ledger.gtts.values()}
    blocked |= {("position", *p.key): p.net.margin for p in ledger.positions.values()}
    blocked |= {("holding", h.exchange, h.symbol): h.net.margin for h in ledger.holdings.values()}
    return blocked


class Books(RuleBasedStateMachine):
    """One account, a database that keeps the rows it is told of, and a journal of what is final."""

    @initialize(capital=st.sampled_from([2_000, 20_000, 10_000_000]), oco=st.sampled_from(["max", "sum"]))
    def begin(self, capital: int, oco: Any) -> None:
        self.now = NOON
        model = LeverageModel(equity_mis=Decimal(3), futures=Decimal(7))
        self.account = Account(Rules(CALENDAR, model, dec(capital), oco), numbered(), self.now)
        self.ledger = self.account.ledger
        self.database: dict[tuple[Any, ...], Row] = {("funds",): self.ledger.funds}
        self.journal: list[Trade | Settlement] = []

    def run(self, command: Any, *touches: tuple[Any, ...], undo: bool = False) -> Changes | None:
        """One command: refused and without a trace, or done; then perhaps taken back and done again."""
        before, blocked, positions = state(self.ledger), margins(self.ledger), dict(self.ledger.positions)
        try:
            changes: Changes = command()
        except OrderError:
            assert state(self.ledger) == before
            return None
        if touches:
            self.only_moved(blocked, changes, touches)
            self.in_proportion(positions)
        if undo:
            self.account.undo(changes)
            assert state(self.ledger) == before
            changes = command()
        for identity, row in changes.rows.items():
            if isinstance(row, Trade):
                assert identity not in self.database, "an order filled twice"
            self.database[identity] = row
        self.journal += [row for row in changes.rows.values() if isinstance(row, Trade | Settlement)]
        if changes.refusal is not None:
            assert changes.refusal.orderid in self.ledger.orders
        return changes

    def only_moved(self, before: Margins, changes: Changes, touches: tuple[tuple[Any, ...], ...]) -> None:
        """Only the margin of the order (or GTT and its child) and of the position concerned has moved."""
        new = {("order", orderid) for orderid in changes.orderids} | {("gtt", orderid) for orderid in changes.orderids}
        after = margins(self.ledger)
        moved = {name for name in before.keys() | after.keys() if before.get(name, 0) != after.get(name, 0)}
        assert moved <= new | set(touches)

    def in_proportion(self, before: dict[Key, Position]) -> None:
        """A position that shrank released its margin in proportion."""
        for key, now in self.ledger.positions.items():
            was = before[key].net if key in before else now.net
            if abs(now.quantity) < abs(was.quantity) and now.quantity * was.quantity > 0:
                assert abs(now.net.margin * was.quantity - was.margin * now.quantity) < Decimal("1e-12")

    def pick(self, rows: Any, number: int) -> Any:
        found = list(rows)
        return found[number % len(found)]

    @rule(symbol=st.sampled_from(SYMBOLS), action=ACTIONS, lots=LOTS, kind=TYPES, price=PRICES, trigger=PRICES,
          ltp=LTPS, delivery=st.sampled_from([False, False, True]), undo=st.booleans())  # fmt: skip
    def place(
        self, symbol: str, action: str, lots: int, kind: str, price: Decimal, trigger: Decimal, ltp: Decimal | None,
        delivery: bool, undo: bool,
    ) -> None:  # fmt: skip
        record = RECORDS[symbol]
        product = "MIS" if not delivery else "CNC" if record.exchange in ("NSE", "BSE") else "NRML"
        request = ask_for(action, lots * record.lotsize, symbol, pricetype=kind, price=price, trigger_price=trigger,
                          product=product)  # fmt: skip
        seen = quote(ltp, bid=ltp - 1, ask=ltp + 1) if ltp is not None else None
        self.run(lambda: self.account.place(request, record, seen, self.now), ("position", *request.key), undo=undo)

    @precondition(lambda self: self.ledger.resting)
    @rule(number=PICK, lots=LOTS, kind=TYPES, price=PRICES, trigger=PRICES, ltp=LTPS, undo=st.booleans())
    def modify(
        self, number: int, lots: int, kind: str, price: Decimal, trigger: Decimal, ltp: Decimal | None, undo: bool
    ) -> None:
        order: Order = self.pick(self.ledger.resting.values(), number)
        record = RECORDS[order.key.symbol]
        request = ask_for(str(order.request.action), lots * record.lotsize, record.symbol, pricetype=kind, price=price,
                          trigger_price=trigger, product=str(order.key.product))  # fmt: skip
        seen = quote(ltp) if ltp is not None else None
        self.run(lambda: self.account.modify(order.orderid, request, record, seen, self.now), ("position", *order.key),
                 undo=undo)  # fmt: skip

    @precondition(lambda self: self.ledger.orders)
    @rule(number=PICK, price=PRICES, undo=st.booleans())
    def fill(self, number: int, price: Decimal, undo: bool) -> None:
        # mostly one that rests, sometimes one that has ended
        rows = self.ledger.resting if self.ledger.resting and number % 5 else self.ledger.orders
        order: Order = self.pick(rows.values(), number)
        changes = self.run(
            lambda: self.account.fill(order.orderid, price, self.now), ("position", *order.key), undo=undo
        )
        assert changes is not None
        assert bool(changes.rows) == order.status.resting

    @precondition(lambda self: self.ledger.orders)
    @rule(number=PICK, how=st.sampled_from(["cancel", "reject", "trigger"]), undo=st.booleans())
    def end(self, number: int, how: str, undo: bool) -> None:
        orderid = self.pick(self.ledger.orders.values(), number).orderid
        commands: dict[str, Any] = {
            "cancel": lambda: self.account.cancel(orderid, self.now),
            "reject": lambda: self.account.reject(orderid, "because", self.now),
            "trigger": lambda: self.account.trigger(orderid, self.now),
        }
        self.run(commands[how], ("order", orderid), undo=undo)

    @rule(symbol=st.sampled_from(SYMBOLS), action=ACTIONS, lots=LOTS, kind=st.sampled_from(["MARKET", "LIMIT"]),
          low=PRICES, high=PRICES, oco=st.booleans(), delivery=st.booleans(), number=st.none() | PICK)  # fmt: skip
    def gtt(
        self, symbol: str, action: str, lots: int, kind: str, low: Decimal, high: Decimal, oco: bool, delivery: bool,
        number: int | None,
    ) -> None:  # fmt: skip
        record = RECORDS[symbol]
        product = "MIS" if not delivery else "CNC" if record.exchange in ("NSE", "BSE") else "NRML"
        request = ask_gtt(action, lots * record.lotsize, symbol, trigger_type="OCO" if oco else "SINGLE",
                          pricetype=kind, product=product, triggerprice_sl=low,
                          triggerprice_tg=high if oco else 0, price=low, stoploss=low, target=high)  # fmt: skip
        if number is None or not self.ledger.gtts:
            self.run(lambda: self.account.place_gtt(request, record, self.now), ("nothing",), undo=True)
        else:
            old: Gtt = self.pick(self.ledger.gtts.values(), number)
            self.run(lambda: self.account.modify_gtt(old.trigger_id, request, record, self.now), ("nothing",))

    @precondition(lambda self: self.ledger.gtts)
    @rule(number=PICK, side=st.sampled_from(Side), ltp=PRICES, cancel=st.integers(0, 4), undo=st.booleans())
    def fire(self, number: int, side: Side, ltp: Decimal, cancel: int, undo: bool) -> None:
        gtt: Gtt = self.pick(self.ledger.gtts.values(), number)
        key, record = gtt.request.order().key, RECORDS[gtt.request.symbol]
        if not cancel:
            self.run(lambda: self.account.cancel_gtt(gtt.trigger_id, self.now), ("nothing",))
            return
        changes = self.run(lambda: self.account.fire_gtt(gtt.trigger_id, side, record, quote(ltp), self.now),
                           ("position", *key), ("gtt", gtt.trigger_id), undo=undo)  # fmt: skip
        assert changes is not None
        assert bool(changes.rows) == (gtt.active and gtt.leg(side) is not None)

    @rule(hours=st.sampled_from([0, 0, 0, 0, 0.5, 18, 24, 30]), price=PRICES, undo=st.booleans())
    def time_passes(self, hours: float, price: Decimal, undo: bool) -> None:
        self.now += timedelta(hours=hours)
        prices = {Instrument(record.exchange, record.symbol): price for record in RECORDS.values()}
        for command in (lambda: self.account.settle(self.now), lambda: self.account.square_off(self.now, prices),
                        lambda: self.account.expire(self.now, prices)):  # fmt: skip
            changes = self.run(command, undo=undo)
            assert changes is not None
            assert not changes.waiting

    @rule(chance=st.sampled_from(range(40)))
    def reset(self, chance: int) -> None:
        if chance == 29:
            self.run(lambda: self.account.reset(self.now), undo=True)
            self.journal.clear()

    @invariant()
    def the_books_add_up(self) -> None:
        if hasattr(self, "ledger"):
            assert check_ledger(self.ledger) == []

    @invariant()
    def the_rows_told_everything(self) -> None:
        """A restart from the database finds the same books."""
        if not hasattr(self, "ledger"):
            return
        rows = self.database.values()
        funds = self.database["funds",]
        assert isinstance(funds, Funds)
        again = Account(self.account.rules, numbered(), self.now, funds)
        again.load(
            [row for row in rows if isinstance(row, Order)],
            [row for row in rows if isinstance(row, Position) and row.key in self.ledger.positions],
            [row for row in rows if isinstance(row, Holding) and (row.exchange, row.symbol) in self.ledger.holdings],
            [row for row in rows if isinstance(row, Gtt)],
        )
        assert state(again.ledger) == state(self.ledger)

    @invariant()
    def the_trades_say_the_same(self) -> None:
        if not hasattr(self, "ledger"):
            return
        reference, tolerance = recompute(self.journal), Fraction(1, 10**12)
        assert abs(Fraction(self.ledger.funds.realised) - reference.realised) < tolerance
        for key, position in self.ledger.positions.items():
            line = reference.positions[key]
            assert Fraction(position.quantity) == line.quantity
            assert abs(Fraction(position.net.cost) - abs(line.quantity) * line.average) < tolerance
            assert abs(Fraction(position.realised) - line.realised) < tolerance
        for place, holding in self.ledger.holdings.items():
            line = reference.holdings[place]
            assert Fraction(holding.quantity) == line.quantity
            assert abs(Fraction(holding.net.cost) - line.quantity * line.average) < tolerance

    def teardown(self) -> None:
        """Close everything: not a fraction of a paisa stays blocked."""
        if not hasattr(self, "ledger"):
            return
        ledger, account = self.ledger, self.account
        for orderid in list(ledger.resting):
            account.cancel(orderid, self.now)
        for gtt in list(ledger.gtts.values()):
            if gtt.active:
                account.cancel_gtt(gtt.trigger_id, self.now)
        for position in list(ledger.positions.values()):
            if position.quantity:
                self.trade("SELL" if position.quantity > 0 else "BUY", abs(position.quantity), position.key)
        for holding in list(ledger.holdings.values()):
            if holding.quantity:
                self.sell_holding(holding)
        assert check_ledger(ledger) == []
        funds = ledger.funds
        assert funds.used == 0
        assert funds.available == funds.capital + funds.realised
        assert all(not position.net.margin for position in ledger.positions.values())

    def trade(self, action: str, quantity: Decimal, key: Any) -> None:
        request = ask_for(action, quantity, key.symbol, product=str(key.product))
        changes = self.account.place(request, RECORDS[key.symbol], quote(50), self.now)
        assert self.ledger.orders[changes.orderid].status == "complete"

    def sell_holding(self, holding: Holding) -> None:
        request = ask_for("SELL", holding.quantity, holding.symbol, product="CNC")
        self.account.place(request, RECORDS[holding.symbol], quote(50), self.now)
        self.account.settle(self.now + timedelta(days=10))


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_check_book_sees_each_kind_of_wrong() -> None:
    """The invariants can fail."""
    machine = Books()
    machine.begin(10_000_000, "max")
    machine.place("SBIN", "BUY", 4, "MARKET", dec(50), dec(50), dec(50), False, False)
    machine.place("SBIN", "BUY", 4, "LIMIT", dec(40), dec(50), dec(50), False, False)
    ledger = machine.ledger
    orders, positions, funds = list(ledger.orders.values()), list(ledger.positions.values()), ledger.funds
    assert check_book(funds, orders, positions) == []
    wrong = [
        (replace(funds, available=funds.available + 1), orders, positions, "is not capital"),
        (replace(funds, used=funds.used + 1, available=funds.available - 1), orders, positions, "is not the margin of"),
        (replace(funds, realised=dec(1), available=funds.available + 1), orders, positions, "holdings realised"),
        (funds, [replace(orders[0], margin=dec(1)), orders[1]], positions, "has ended and still blocks"),
        (funds, [orders[0], replace(orders[1], blocked_quantity=dec(9))], positions, "for 9 of 4"),
        (funds, [orders[0], replace(orders[1], blocked_quantity=dec(0))], positions, "for nothing"),
        (funds, orders, [replace(positions[0], net=positions[0].net._replace(quantity=dec(0)))], "is flat and keeps"),
        (funds, orders, [replace(positions[0], net=positions[0].net._replace(cost=dec(-1)))], "has cost -1"),
    ]
    for books in wrong:
        assert any(books[3] in line for line in check_book(*books[:3])), books[3]
    ledger.reserved["x", "y"] = dec(1)  # type: ignore[index]
    assert any(line.startswith("reserved quantities") for line in check_ledger(ledger))
