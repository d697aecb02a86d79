"""What many transactions write together: the newest version of each row, and everything that is only added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

from gateway.store.tables import Base
from gateway.store.trade_tables import (
    DailyPnlRow,
    FundsRow,
    GttRow,
    HoldingRow,
    IdempotencyRow,
    LastPriceRow,
    OrderRow,
    OutboxRow,
    PositionRow,
    SettlementRow,
    TradeRow,
    TradeUserRow,
)
from gateway.trade.core.changes import Row, Settlement, Trade, identity
from gateway.trade.core.funds import Funds
from gateway.trade.ports import Transaction
from gateway.trade.rows import TABLE_OF, Fields, fields_of

#: tables whose rows have versions: the newest wins
UPSERTED: Final[tuple[type[Base], ...]] = (
    OrderRow, PositionRow, HoldingRow, FundsRow, GttRow, DailyPnlRow, TradeUserRow, LastPriceRow,
)  # fmt: skip
#: tables whose rows are added once; the database refuses a second one
INSERTED: Final[tuple[type[Base], ...]] = (TradeRow, SettlementRow, IdempotencyRow, OutboxRow)

Rows = dict[type[Base], list[Fields]]


def count_numbered(transactions: Iterable[Transaction]) -> int:
    """How many trades and settlements they hold: each takes a number."""
    return sum(isinstance(row, Trade | Settlement) for one in transactions for row in one.rows)


def gather(transactions: Sequence[Transaction], number: int) -> Rows:
    """The rows of all tables; `number` is the last one that was given to a trade or settlement."""
    rows: Rows = {table: [] for table in (*UPSERTED, *INSERTED)}
    newest: dict[tuple[Any, ...], Row] = {}
    days: dict[tuple[str, int, date], Fields] = {}
    users: dict[str, Fields] = {}
    prices: dict[tuple[str, str], Fields] = {}
    for one in transactions:
        user = one.user_id
        for row in one.rows:
            if isinstance(row, Trade | Settlement):
                number += 1
                rows[TABLE_OF[type(row)]].append(fields_of(user, row, number))
                if isinstance(row, Trade):
                    # what a position was opened at is a price to settle it at, whatever dies before the next one
                    prices[row.key.exchange, row.key.symbol] = _price(row)
                continue
            newest[(user, *identity(row))] = row
            if isinstance(row, Funds) and row.day != date.min:
                days[user, row.epoch, row.day] = _daily(user, row)
        users[user] = {"user_id": user, "mode": one.user.mode, "seq": one.user.seq, "logs": one.user.logs}
        _told(one, rows)
    for name, row in newest.items():
        rows[TABLE_OF[type(row)]].append(fields_of(name[0], row))
    rows[DailyPnlRow].extend(days.values())
    rows[TradeUserRow].extend(users.values())
    rows[LastPriceRow].extend(prices.values())
    return rows


def _price(trade: Trade) -> Fields:
    return {"exchange": trade.key.exchange, "symbol": trade.key.symbol, "ltp": trade.price, "at": trade.at}


def _daily(user: str, funds: Funds) -> Fields:
    return {"user_id": user, "epoch": funds.epoch, "day": funds.day, "realised": funds.realised_on_day}


def _told(one: Transaction, rows: Rows) -> None:
    """The events and the kept answer of a transaction."""
    rows[OutboxRow].extend(
        {
            "user_id": one.user_id,
            "event_type": event.event_type,
            "seq": event.seq,
            "payload": event.payload.decode(),
            "created": one.at,
        }
        for event in one.events
    )
    if one.kept is not None:
        kept = one.kept
        rows[IdempotencyRow].append(
            {
                "user_id": one.user_id,
                "key": kept.key,
                "digest": kept.digest,
                "status": kept.status,
                "answer": kept.answer.decode(),
                "created": one.at,
            }
        )
