"""Questions to the database about users' books. Each blocks, and raises StoreError where the database is away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, or_, select, union
from sqlalchemy.orm import InstrumentedAttribute

from gateway.model import Instrument
from gateway.store.engine import store_errors
from gateway.store.tables import Base
from gateway.store.trade_tables import (
    FundsRow,
    GttRow,
    HoldingRow,
    IdempotencyRow,
    LastPriceRow,
    OrderRow,
    OutboxRow,
    PositionRow,
    TradeRow,
    TradeUserRow,
)
from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt, GttStatus
from gateway.trade.core.orders import Order, Status
from gateway.trade.core.positions import Holding, Position
from gateway.trade.ports import Kept, StoredUser, UserState
from gateway.trade.rows import Stored, funds_of, gtt_of, holding_of, order_of, position_of, trade_of

T = TypeVar("T")
Held = TypeVar("Held", Position, Holding)

_RESTING = [status.value for status in Status if status.resting]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection on which everything is read as it was at one moment."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        try:
            yield connection
        finally:
            connection.rollback()


def columns(table: type[Base]) -> Select[Any]:
    """A query of all columns of a table."""
    return select(*table.__table__.columns)


def read(connection: Connection, query: Select[Any], make: Callable[[Stored], T]) -> list[tuple[str, T]]:
    """The values that a query's rows keep, with their users."""
    return [(row["user_id"], make(row)) for row in connection.execute(query).mappings()]


def load_users(engine: Engine, since: datetime) -> list[StoredUser]:
    """Every user with what may still change, and orders, GTTs and trades that ended or happened since `since`.

    Positions and holdings are those of the books' present epoch, closed ones too: their realised PnL is part of the
    funds'.
    """
    orders = columns(OrderRow).where(or_(OrderRow.status.in_(_RESTING), OrderRow.updated_at >= since))
    gtts = columns(GttRow).where(or_(GttRow.status == GttStatus.ACTIVE.value, GttRow.updated_at >= since))
    trades = columns(TradeRow).where(TradeRow.at >= since).order_by(TradeRow.number)
    with store_errors("loading the books"), snapshot(engine) as connection:
        states = dict(read(connection, columns(TradeUserRow), state_of))
        funds = dict(read(connection, columns(FundsRow), funds_of))
        rested = _by_user(read(connection, orders.order_by(OrderRow.placed_at, OrderRow.orderid), order_of))
        waiting = _by_user(read(connection, gtts.order_by(GttRow.placed_at, GttRow.trigger_id), gtt_of))
        traded = _by_user(read(connection, trades, trade_of))
        positions = _by_user(read(connection, columns(PositionRow), position_of))
        holdings = _by_user(read(connection, columns(HoldingRow), holding_of))
    names = sorted({*states, *funds, *rested, *waiting, *traded, *positions, *holdings})
    return [
        StoredUser(
            user_id=name,
            state=states.get(name, UserState()),
            funds=funds.get(name),
            orders=rested[name],
            positions=_present(positions[name], funds.get(name)),
            holdings=_present(holdings[name], funds.get(name)),
            gtts=waiting[name],
            trades=traded[name],
        )
        for name in names
    ]


def state_of(row: Stored) -> UserState:
    """What a row of `trade_users` keeps."""
    return UserState(row["mode"], row["seq"], row["logs"])


def _by_user(rows: Iterable[tuple[str, T]]) -> defaultdict[str, list[T]]:
    found: defaultdict[str, list[T]] = defaultdict(list)
    for user, row in rows:
        found[user].append(row)
    return found


def _present(rows: list[Held], funds: Funds | None) -> list[Held]:
    """Without what a reset emptied."""
    return [row for row in rows if row.quantity or row.realised or funds is None or row.updated_at > funds.since]


def newest_id(engine: Engine) -> int:
    """The highest number that an order or GTT has; 0 where there is none."""
    with store_errors("reading the newest order id"), engine.connect() as connection:
        return max(_highest(connection, OrderRow.orderid), _highest(connection, GttRow.trigger_id))


def _highest(connection: Connection, column: InstrumentedAttribute[str]) -> int:
    """The highest of numbers kept as text: the last in order of the alphabet among the longest."""
    found = connection.scalar(select(column).order_by(func.length(column).desc(), column.desc()).limit(1))
    return int(found) if found and found.isdecimal() else 0


def find_order(engine: Engine, user_id: str, orderid: str) -> Order | None:
    """One order, however old."""
    return _one(engine, OrderRow, [OrderRow.user_id == user_id, OrderRow.orderid == orderid], order_of)


def find_gtt(engine: Engine, user_id: str, trigger_id: str) -> Gtt | None:
    """One GTT, however old."""
    return _one(engine, GttRow, [GttRow.user_id == user_id, GttRow.trigger_id == trigger_id], gtt_of)


def kept_answer(engine: Engine, user_id: str, key: str) -> Kept | None:
    """The answer that was given under an `Idempotency-Key`."""
    wanted = [IdempotencyRow.user_id == user_id, IdempotencyRow.key == key]
    return _one(
        engine,
        IdempotencyRow,
        wanted,
        lambda row: Kept(row["key"], row["digest"], row["status"], row["answer"].encode()),
    )


def _one(engine: Engine, table: type[Base], wanted: list[ColumnElement[bool]], make: Callable[[Stored], T]) -> T | None:
    with store_errors(f"reading {table.__tablename__}"), engine.connect() as connection:
        row = connection.execute(columns(table).where(*wanted)).mappings().one_or_none()
        return None if row is None else make(row)


def missed(engine: Engine, user_id: str, after_seq: int, limit: int) -> list[bytes]:
    """Payloads of the user's order updates with a number above `after_seq`, in order, at most `limit`."""
    query = (
        select(OutboxRow.payload)
        .where(OutboxRow.user_id == user_id, OutboxRow.seq > after_seq)
        .order_by(OutboxRow.seq)
        .limit(limit)
    )
    with store_errors("reading missed order updates"), engine.connect() as connection:
        return [payload.encode() for payload in connection.scalars(query)]


def last_prices(engine: Engine) -> dict[Instrument, Decimal]:
    """The last prices (INR) that were kept."""
    query = select(LastPriceRow.exchange, LastPriceRow.symbol, LastPriceRow.ltp)
    with store_errors("reading last prices"), engine.connect() as connection:
        return {Instrument(row.exchange, row.symbol): row.ltp for row in connection.execute(query)}


def users(engine: Engine) -> list[str]:
    """Everyone who has books or a mode, by name."""
    query = union(select(TradeUserRow.user_id), select(FundsRow.user_id))
    with store_errors("reading the users"), engine.connect() as connection:
        return sorted(connection.scalars(query))
