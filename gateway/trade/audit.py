"""`gateway audit`: every book, recomputed from trades and deliveries, compared to the last digit with what is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, Engine, func, select

from gateway.store.engine import store_errors
from gateway.store.tables import Base
from gateway.store.trade_tables import (
    DailyPnlRow,
    FundsRow,
    GttRow,
    HoldingRow,
    OrderRow,
    OutboxRow,
    PositionRow,
    SettlementRow,
    TradeRow,
    TradeUserRow,
)
from gateway.trade.books import columns, snapshot, state_of
from gateway.trade.books import users as all_users
from gateway.trade.core.audit import check_book
from gateway.trade.core.changes import Settlement, Trade
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.money import ONE, ZERO, exact
from gateway.trade.core.orders import Key, Order, Product, Status
from gateway.trade.core.positions import FLAT, Holding, Net, Position, net_fill, net_value
from gateway.trade.ports import UserState
from gateway.trade.rows import Stored, funds_of, gtt_of, holding_of, order_of, position_of, settlement_of, trade_of

Place = tuple[str, str]


@dataclass
class Kept:
    """Everything the database holds of one user."""

    funds: Funds | None
    state: UserState
    orders: list[Order]
    positions: list[Position]
    holdings: list[Holding]
    gtts: list[Gtt]
    #: trades and settlements, in the order of their numbers
    journal: list[Trade | Settlement]
    #: by epoch and day
    daily: dict[tuple[int, date], Decimal]
    #: of the events in the outbox: lowest and highest order-event number, and how many there are
    seqs: tuple[int | None, int | None, int]


@dataclass
class Line:
    """What trades and deliveries make of one position or holding."""

    net: Net = FLAT
    realised: Decimal = ZERO
    contract_value: Decimal = ONE


@dataclass
class Recomputed:
    """The books of one epoch as trades and deliveries make them."""

    positions: defaultdict[Key, Line] = field(default_factory=lambda: defaultdict(Line))
    holdings: defaultdict[Place, Line] = field(default_factory=lambda: defaultdict(Line))
    #: by trading day
    daily: defaultdict[date, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: of positions, by trading day
    by_day: defaultdict[tuple[Key, date], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: what trades and deliveries say of themselves and is not so
    wrong: list[str] = field(default_factory=list)

    @property
    def realised(self) -> Decimal:
        """All realised PnL, INR."""
        return sum(self.daily.values(), ZERO)

    def take(self, row: Trade | Settlement) -> None:
        """Takes the next one in; call it in the exact context."""
        realised = self._fill(row) if isinstance(row, Trade) else self._deliver(row)
        self.daily[row.day] += realised
        if realised != row.realised:
            self.wrong.append(f"{_name(row)} realised is {row.realised}, should be {realised}")

    def _fill(self, row: Trade) -> Decimal:
        line = self.positions[row.key]
        netted = net_fill(line.net, row.signed_quantity, row.price, ZERO, row.contract_value)
        line.net, line.contract_value = netted.net, row.contract_value
        line.realised += netted.realised
        self.by_day[row.key, row.day] += netted.realised
        return netted.realised

    def _deliver(self, row: Settlement) -> Decimal:
        moved = self.positions[Key(row.exchange, row.symbol, Product.CNC)]
        if (row.quantity, row.cost) != moved.net[:2]:
            self.wrong.append(
                f"{_name(row)} moves {row.quantity} at cost {row.cost}, "
                f"should be {moved.net.quantity} at cost {moved.net.cost}"
            )
        holding = self.holdings[row.exchange, row.symbol]
        netted = net_value(holding.net, moved.net.quantity, moved.net.cost, ZERO, moved.contract_value)
        holding.net, moved.net = netted.net, FLAT
        holding.realised += netted.realised
        return netted.realised


def audit(engine: Engine) -> list[str]:
    """What does not add up, one line each, naming user, book, what it is and what it should be. Raises StoreError."""
    found: list[str] = []
    for user in all_users(engine):
        with store_errors("reading the books"), snapshot(engine) as connection:
            kept = _kept(connection, user)
        found.extend(f"{user}: {line}" for line in differences(kept))
    return found


def _kept(connection: Connection, user: str) -> Kept:
    def rows(table: type[Base]) -> Iterable[Stored]:
        query = columns(table).where(table.__table__.columns["user_id"] == user)
        return connection.execute(query).mappings()

    numbered: list[tuple[int, Trade | Settlement]] = [(row["number"], trade_of(row)) for row in rows(TradeRow)]
    numbered += [(row["number"], settlement_of(row)) for row in rows(SettlementRow)]
    seqs = select(func.min(OutboxRow.seq), func.max(OutboxRow.seq), func.count(OutboxRow.seq))
    lowest, highest, count = connection.execute(seqs.where(OutboxRow.user_id == user)).one()
    return Kept(
        funds=next((funds_of(row) for row in rows(FundsRow)), None),
        state=next((state_of(row) for row in rows(TradeUserRow)), UserState()),
        orders=[order_of(row) for row in rows(OrderRow)],
        positions=[position_of(row) for row in rows(PositionRow)],
        holdings=[holding_of(row) for row in rows(HoldingRow)],
        gtts=[gtt_of(row) for row in rows(GttRow)],
        journal=[row for _, row in sorted(numbered, key=lambda pair: pair[0])],
        daily={(row["epoch"], row["day"]): row["realised"] for row in rows(DailyPnlRow)},
        seqs=(lowest, highest, count),
    )


@exact
def differences(kept: Kept) -> list[str]:
    """What does not add up in one user's rows, one line each."""
    epochs: defaultdict[int, Recomputed] = defaultdict(Recomputed)
    for row in kept.journal:
        epochs[row.epoch].take(row)
    found = [line for epoch in epochs.values() for line in epoch.wrong]
    found.extend(_orders(kept))
    found.extend(_seqs(kept))
    if kept.funds is None:
        if kept.journal or kept.positions or kept.holdings:
            found.append("funds are missing, should be there: the user has traded")
        return found
    now = epochs[kept.funds.epoch]
    found.extend(check_book(kept.funds, kept.orders, kept.positions, kept.holdings, kept.gtts))
    found.extend(_positions(kept.positions, now))
    found.extend(_holdings(kept.holdings, now))
    found.extend(_compare("funds realised", kept.funds.realised, now.realised))
    today = now.daily.get(kept.funds.day, ZERO)
    found.extend(_compare(f"funds realised on {kept.funds.day}", kept.funds.realised_on_day, today))
    found.extend(_daily(kept.daily, epochs))
    return found


def _positions(rows: list[Position], now: Recomputed) -> Iterator[str]:
    stored = {row.key: row for row in rows}
    for key in sorted({*stored, *now.positions}):
        name, row, line = "position " + " ".join(key), stored.get(key), now.positions[key]
        if row is None:
            yield f"{name} is missing, should be {line.net.quantity} with realised {line.realised}"
            continue
        yield from _net(name, row, line)
        yield from _compare(f"{name} realised on {row.day}", row.realised_on_day, now.by_day[key, row.day])


def _holdings(rows: list[Holding], now: Recomputed) -> Iterator[str]:
    stored = {(row.exchange, row.symbol): row for row in rows}
    for place in sorted({*stored, *now.holdings}):
        name, row, line = "holding " + " ".join(place), stored.get(place), now.holdings[place]
        if row is None:
            yield f"{name} is missing, should be {line.net.quantity} with realised {line.realised}"
            continue
        yield from _net(name, row, line)


def _net(name: str, row: Position | Holding, line: Line) -> Iterator[str]:
    yield from _compare(f"{name} quantity", row.net.quantity, line.net.quantity)
    yield from _compare(f"{name} cost", row.net.cost, line.net.cost)
    yield from _compare(f"{name} realised", row.realised, line.realised)


def _daily(stored: Mapping[tuple[int, date], Decimal], epochs: Mapping[int, Recomputed]) -> Iterator[str]:
    right = {(epoch, day): amount for epoch, books in epochs.items() for day, amount in books.daily.items()}
    for epoch, day in sorted({*stored, *right}):
        name = f"daily PnL of {day} (epoch {epoch})"
        yield from _compare(name, stored.get((epoch, day), ZERO), right.get((epoch, day), ZERO))


def _orders(kept: Kept) -> Iterator[str]:
    """A complete order has its trade, of its own quantity and price; no other order has one."""
    trades = {row.orderid: row for row in kept.journal if isinstance(row, Trade)}
    for order in kept.orders:
        name, trade = f"order {order.orderid}", trades.pop(order.orderid, None)
        if trade is None:
            if order.status is Status.COMPLETE:
                yield f"{name} is complete and has no trade, should have one"
            continue
        if order.status is not Status.COMPLETE:
            yield f"{name} is {order.status} and has a trade, should be complete"
            continue
        yield from _compare(f"{name} quantity", order.request.quantity, trade.quantity)
        yield from _compare(f"{name} average price", order.average_price, trade.price)
        if (order.key, order.request.action) != (trade.key, trade.action):
            yield f"{name} is {_what(order.key, order.request.action)}, its trade {_what(trade.key, trade.action)}"
    for orderid in trades:
        yield f"trade {orderid} has no order, should have one"


def _seqs(kept: Kept) -> Iterator[str]:
    """Order events still in the outbox are the newest ones, without a gap."""
    lowest, highest, count = kept.seqs
    if lowest is None or highest is None:
        return
    if highest - lowest + 1 != count:
        yield f"order events {lowest} to {highest} in the outbox are {count}, should be {highest - lowest + 1}"
    if highest != kept.state.seq:
        yield f"the last order event in the outbox is {highest}, should be {kept.state.seq}"


def _compare(name: str, kept: Decimal, right: Decimal) -> Iterator[str]:
    if kept != right:
        yield f"{name} is {kept}, should be {right}"


def _name(row: Trade | Settlement) -> str:
    return f"trade {row.orderid}" if isinstance(row, Trade) else f"delivery {row.exchange} {row.symbol} of {row.day}"


def _what(key: Key, action: object) -> str:
    return f"{action} {' '.join(key)}"
