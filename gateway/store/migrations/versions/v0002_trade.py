"""Orders, trades, positions, holdings, settlements, funds, GTTs, outbox and what the trade process keeps beside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_EXACT = sa.Numeric().with_variant(sa.String(80), "sqlite")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables of the trade process."""
    for make in (
        _orders, _trades, _positions, _holdings, _settlements, _funds, _daily_pnl, _gtts, _outbox, _trade_users,
        _idempotency_keys, _last_prices, _trade_writer,
    ):  # fmt: skip
        make()


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("orderid", sa.String(32), nullable=False),
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("product", sa.String(8), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("quantity", _EXACT, nullable=False),
        sa.Column("pricetype", sa.String(8), nullable=False),
        sa.Column("price", _EXACT, nullable=False),
        sa.Column("trigger_price", _EXACT, nullable=False),
        sa.Column("disclosed_quantity", _EXACT, nullable=False),
        sa.Column("strategy", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("placed_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("margin", _EXACT, nullable=False),
        sa.Column("blocked_quantity", _EXACT, nullable=False),
        sa.Column("triggered", sa.Boolean(), nullable=False),
        sa.Column("average_price", _EXACT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("contract_value", _EXACT, nullable=False),
        sa.Column("expiry", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("orderid", "user_id", name="pk_orders"),
    )
    op.create_index("ix_orders_status", "orders", ["status"])
    op.create_index("ix_orders_updated_at", "orders", ["updated_at"])


def _trades() -> None:
    op.create_table(
        "trades",
        sa.Column("orderid", sa.String(32), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("product", sa.String(8), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("quantity", _EXACT, nullable=False),
        sa.Column("price", _EXACT, nullable=False),
        sa.Column("contract_value", _EXACT, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("realised", _EXACT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("orderid", "user_id", name="pk_trades"),
    )
    op.create_index("ix_trades_day", "trades", ["day"])


def _positions() -> None:
    op.create_table(
        "positions",
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("product", sa.String(8), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("traded_on", sa.Date(), nullable=False),
        sa.Column("quantity", _EXACT, nullable=False),
        sa.Column("cost", _EXACT, nullable=False),
        sa.Column("margin", _EXACT, nullable=False),
        sa.Column("realised", _EXACT, nullable=False),
        sa.Column("realised_on_day", _EXACT, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("contract_value", _EXACT, nullable=False),
        sa.Column("expiry", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("exchange", "symbol", "product", "user_id", name="pk_positions"),
    )


def _holdings() -> None:
    op.create_table(
        "holdings",
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("quantity", _EXACT, nullable=False),
        sa.Column("cost", _EXACT, nullable=False),
        sa.Column("margin", _EXACT, nullable=False),
        sa.Column("realised", _EXACT, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("contract_value", _EXACT, nullable=False),
        sa.Column("expiry", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("exchange", "symbol", "user_id", name="pk_holdings"),
    )


def _settlements() -> None:
    op.create_table(
        "settlements",
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("quantity", _EXACT, nullable=False),
        sa.Column("cost", _EXACT, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("realised", _EXACT, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", "day", "epoch", "user_id", name="pk_settlements"),
    )


def _funds() -> None:
    op.create_table(
        "funds",
        sa.Column("capital", _EXACT, nullable=False),
        sa.Column("available", _EXACT, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("used", _EXACT, nullable=False),
        sa.Column("realised", _EXACT, nullable=False),
        sa.Column("realised_on_day", _EXACT, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_funds"),
    )


def _daily_pnl() -> None:
    op.create_table(
        "daily_pnl",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("realised", _EXACT, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "day", "user_id", name="pk_daily_pnl"),
    )


def _gtts() -> None:
    op.create_table(
        "gtts",
        sa.Column("trigger_id", sa.String(32), nullable=False),
        sa.Column("trigger_type", sa.String(8), nullable=False),
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("product", sa.String(8), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("quantity", _EXACT, nullable=False),
        sa.Column("pricetype", sa.String(8), nullable=False),
        sa.Column("triggerprice_sl", _EXACT, nullable=False),
        sa.Column("triggerprice_tg", _EXACT, nullable=False),
        sa.Column("price", _EXACT, nullable=False),
        sa.Column("stoploss", _EXACT, nullable=False),
        sa.Column("target", _EXACT, nullable=False),
        sa.Column("strategy", sa.String(64), nullable=False),
        sa.Column("legs", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("placed_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("margin", _EXACT, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("contract_value", _EXACT, nullable=False),
        sa.Column("expiry", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("trigger_id", "user_id", name="pk_gtts"),
    )
    op.create_index("ix_gtts_status", "gtts", ["status"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("event_type", sa.String(32), nullable=False),
        sa.Column("seq", _BIG, nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("user_id", "seq", name="uq_outbox_user_id_seq"),
        sqlite_autoincrement=True,
    )


def _trade_users() -> None:
    op.create_table(
        "trade_users",
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("logs", _BIG, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_trade_users"),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("key", "user_id", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created", "idempotency_keys", ["created"])


def _last_prices() -> None:
    op.create_table(
        "last_prices",
        sa.Column("exchange", sa.String(16), nullable=False),
        sa.Column("symbol", sa.String(64), nullable=False),
        sa.Column("ltp", _EXACT, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", name="pk_last_prices"),
    )


def _trade_writer() -> None:
    writer = op.create_table(
        "trade_writer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch", _BIG, nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trade_writer"),
    )
    op.bulk_insert(writer, [{"id": 1, "batch": 0, "number": 0}])
