"""The tables of the trade process. Decimals are exact: NUMERIC in PostgreSQL, text in SQLite."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, Index, Integer, Numeric, String, Text, UniqueConstraint
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from gateway.store.tables import Base, UtcTime

#: SQLite counts rows in 64 bits only where the column is called INTEGER
BIG = BigInteger().with_variant(Integer(), "sqlite")


class Exact(TypeDecorator[Decimal]):
    """A decimal that comes back to the last digit on every database."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """SQLite has binary floats only: there it is text."""
        return dialect.type_descriptor(String(80) if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Only Decimals go in."""
        if value is None or dialect.name != "sqlite":
            return value
        return format(value, "f")

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """A Decimal comes out."""
        return None if value is None else Decimal(value)


class _UserKey:
    """Rows belong to a user, by name."""

    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class _Instrument:
    """What is traded, with the terms that outlive the instrument master."""

    kind: Mapped[str] = mapped_column(String(16))
    contract_value: Mapped[Decimal] = mapped_column(Exact)
    expiry: Mapped[date | None] = mapped_column(Date)


class OrderRow(_UserKey, _Instrument, Base):
    """An order as it is now."""

    __tablename__ = "orders"
    __table_args__ = (Index("ix_orders_status", "status"), Index("ix_orders_updated_at", "updated_at"))

    orderid: Mapped[str] = mapped_column(String(32), primary_key=True)
    exchange: Mapped[str] = mapped_column(String(16))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(8))
    quantity: Mapped[Decimal] = mapped_column(Exact)
    pricetype: Mapped[str] = mapped_column(String(8))
    price: Mapped[Decimal] = mapped_column(Exact)
    trigger_price: Mapped[Decimal] = mapped_column(Exact)
    disclosed_quantity: Mapped[Decimal] = mapped_column(Exact)
    strategy: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    placed_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    margin: Mapped[Decimal] = mapped_column(Exact)
    blocked_quantity: Mapped[Decimal] = mapped_column(Exact)
    triggered: Mapped[bool] = mapped_column(Boolean)
    average_price: Mapped[Decimal] = mapped_column(Exact)
    reason: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(16))


class TradeRow(_UserKey, Base):
    """The fill of an order. Its key is the order's: a second fill of one order cannot be stored."""

    __tablename__ = "trades"
    __table_args__ = (Index("ix_trades_day", "day"),)

    orderid: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: in which order the gateway filled, over all users
    number: Mapped[int] = mapped_column(BIG)
    exchange: Mapped[str] = mapped_column(String(16))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(8))
    quantity: Mapped[Decimal] = mapped_column(Exact)
    price: Mapped[Decimal] = mapped_column(Exact)
    contract_value: Mapped[Decimal] = mapped_column(Exact)
    at: Mapped[datetime] = mapped_column(UtcTime)
    day: Mapped[date] = mapped_column(Date)
    realised: Mapped[Decimal] = mapped_column(Exact)
    epoch: Mapped[int]


class PositionRow(_UserKey, _Instrument, Base):
    """A position as it is now; a closed one stays, with quantity 0 and what it realised."""

    __tablename__ = "positions"

    exchange: Mapped[str] = mapped_column(String(16), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(64), primary_key=True)
    product: Mapped[str] = mapped_column(String(8), primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    traded_on: Mapped[date] = mapped_column(Date)
    quantity: Mapped[Decimal] = mapped_column(Exact)
    cost: Mapped[Decimal] = mapped_column(Exact)
    margin: Mapped[Decimal] = mapped_column(Exact)
    realised: Mapped[Decimal] = mapped_column(Exact)
    realised_on_day: Mapped[Decimal] = mapped_column(Exact)
    day: Mapped[date] = mapped_column(Date)


class HoldingRow(_UserKey, _Instrument, Base):
    """Delivered shares as they are now."""

    __tablename__ = "holdings"

    exchange: Mapped[str] = mapped_column(String(16), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(64), primary_key=True)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    quantity: Mapped[Decimal] = mapped_column(Exact)
    cost: Mapped[Decimal] = mapped_column(Exact)
    margin: Mapped[Decimal] = mapped_column(Exact)
    realised: Mapped[Decimal] = mapped_column(Exact)


class SettlementRow(_UserKey, Base):
    """One delivery at T+1."""

    __tablename__ = "settlements"

    exchange: Mapped[str] = mapped_column(String(16), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    #: its place among the trades
    number: Mapped[int] = mapped_column(BIG)
    quantity: Mapped[Decimal] = mapped_column(Exact)
    cost: Mapped[Decimal] = mapped_column(Exact)
    at: Mapped[datetime] = mapped_column(UtcTime)
    realised: Mapped[Decimal] = mapped_column(Exact)


class FundsRow(_UserKey, Base):
    """A user's money as it is now."""

    __tablename__ = "funds"

    capital: Mapped[Decimal] = mapped_column(Exact)
    available: Mapped[Decimal] = mapped_column(Exact)
    since: Mapped[datetime] = mapped_column(UtcTime)
    used: Mapped[Decimal] = mapped_column(Exact)
    realised: Mapped[Decimal] = mapped_column(Exact)
    realised_on_day: Mapped[Decimal] = mapped_column(Exact)
    day: Mapped[date] = mapped_column(Date)
    epoch: Mapped[int]


class DailyPnlRow(_UserKey, Base):
    """What a user realised on one trading day."""

    __tablename__ = "daily_pnl"

    epoch: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    realised: Mapped[Decimal] = mapped_column(Exact)


class GttRow(_UserKey, _Instrument, Base):
    """A GTT as it is now; its legs are a JSON list."""

    __tablename__ = "gtts"
    __table_args__ = (Index("ix_gtts_status", "status"),)

    trigger_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    trigger_type: Mapped[str] = mapped_column(String(8))
    exchange: Mapped[str] = mapped_column(String(16))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(8))
    quantity: Mapped[Decimal] = mapped_column(Exact)
    pricetype: Mapped[str] = mapped_column(String(8))
    triggerprice_sl: Mapped[Decimal] = mapped_column(Exact)
    triggerprice_tg: Mapped[Decimal] = mapped_column(Exact)
    price: Mapped[Decimal] = mapped_column(Exact)
    stoploss: Mapped[Decimal] = mapped_column(Exact)
    target: Mapped[Decimal] = mapped_column(Exact)
    strategy: Mapped[str] = mapped_column(String(64))
    legs: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    placed_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
    margin: Mapped[Decimal] = mapped_column(Exact)


class OutboxRow(Base):
    """An event to be told, written with the change that caused it. Ids rise and are never used again."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("user_id", "seq", name="uq_outbox_user_id_seq"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    event_type: Mapped[str] = mapped_column(String(32))
    #: the user's order-event number, without gaps; none for events that are not `order_update`
    seq: Mapped[int | None] = mapped_column(BIG)
    #: JSON object
    payload: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcTime)


class TradeUserRow(_UserKey, Base):
    """A user's mode and last order-event number."""

    __tablename__ = "trade_users"

    #: `analyze` or `live`
    mode: Mapped[str] = mapped_column(String(16))
    seq: Mapped[int] = mapped_column(BIG)
    #: order calls recorded in analyze mode
    logs: Mapped[int] = mapped_column(BIG)


class IdempotencyRow(_UserKey, Base):
    """The answer given under an `Idempotency-Key`, written with what it answered for."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created", "created"),)

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: SHA-256 of endpoint and body, hex
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    answer: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcTime)


class LastPriceRow(Base):
    """The last price of an instrument with an open position, for settlement after the feed has dropped it."""

    __tablename__ = "last_prices"

    exchange: Mapped[str] = mapped_column(String(16), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(64), primary_key=True)
    ltp: Mapped[Decimal] = mapped_column(Exact)
    at: Mapped[datetime] = mapped_column(UtcTime)


class TradeWriterRow(Base):
    """The number of the last batch that the one writer committed; it also keeps a second writer out."""

    __tablename__ = "trade_writer"

    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[int] = mapped_column(BIG)
    #: the last number given to a trade or settlement
    number: Mapped[int] = mapped_column(BIG)
