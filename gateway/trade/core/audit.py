"""The invariants of a user's books (sandbox, "Funds"), as a function for tests and for `gateway audit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from gateway.trade.core.funds import Funds
from gateway.trade.core.gtt import Gtt
from gateway.trade.core.ledger import Ledger
from gateway.trade.core.money import ZERO, exact
from gateway.trade.core.orders import Action, Order, Product
from gateway.trade.core.positions import Holding, Net, Position


@exact
def check_book(
    funds: Funds,
    orders: Iterable[Order],
    positions: Iterable[Position],
    holdings: Iterable[Holding] = (),
    gtts: Iterable[Gtt] = (),
) -> list[str]:
    """What is wrong with one user's rows, one line each; empty when they add up to the last digit."""
    rows = list(orders), list(positions), list(holdings), list(gtts)
    return [*_money(funds, *rows), *_rows(*rows), *_cover(rows[0], rows[1], rows[2])]


@exact
def check_ledger(ledger: Ledger) -> list[str]:
    """As `check_book`, for the books in memory, and what they count beside."""
    found = check_book(
        ledger.funds, ledger.orders.values(), ledger.positions.values(), ledger.holdings.values(), ledger.gtts.values()
    )
    resting = {orderid for orderid, order in ledger.orders.items() if order.status.resting}
    if resting != ledger.resting.keys():
        found.append(f"resting orders {sorted(ledger.resting)} are not those in a resting state {sorted(resting)}")
    reserved: dict[object, Decimal] = {}
    for order in ledger.orders.values():
        if order.reserved_quantity:
            side = (order.key, order.request.action)
            reserved[side] = reserved.get(side, ZERO) + order.reserved_quantity
    if reserved != ledger.reserved:
        found.append(f"reserved quantities {ledger.reserved} are not those of the resting orders {reserved}")
    return found


def _money(
    funds: Funds, orders: list[Order], positions: list[Position], holdings: list[Holding], gtts: list[Gtt]
) -> Iterator[str]:
    left, right = funds.available + funds.used, funds.capital + funds.realised
    if left != right:
        yield (
            f"available {funds.available} + used {funds.used} is not "
            f"capital {funds.capital} + realised {funds.realised}"
        )
    blocked = sum((order.margin for order in orders), ZERO) + sum((gtt.margin for gtt in gtts), ZERO)
    blocked += sum((net.margin for _, net in _nets(positions, holdings)), ZERO)
    if funds.used != blocked:
        yield f"used {funds.used} is not the margin of orders, GTTs, positions and holdings {blocked}"
    realised = sum((row.realised for row in positions), ZERO) + sum((row.realised for row in holdings), ZERO)
    if funds.realised != realised:
        yield f"realised {funds.realised} is not what positions and holdings realised {realised}"


def _rows(orders: list[Order], positions: list[Position], holdings: list[Holding], gtts: list[Gtt]) -> Iterator[str]:
    for order in orders:
        name = f"order {order.orderid} ({order.status})"
        if not order.status.resting and (order.margin or order.blocked_quantity):
            yield f"{name} has ended and still blocks {order.margin}"
        if order.margin < 0 or not 0 <= order.blocked_quantity <= order.request.quantity:
            yield f"{name} blocks {order.margin} for {order.blocked_quantity} of {order.request.quantity}"
        if order.margin and not order.blocked_quantity:
            yield f"{name} blocks {order.margin} for nothing"
    for gtt in gtts:
        if gtt.margin < 0 or (gtt.margin and not gtt.active):
            yield f"GTT {gtt.trigger_id} ({gtt.status}) blocks {gtt.margin}"
    for name, net in _nets(positions, holdings):
        if not net.quantity and (net.cost or net.margin):
            yield f"{name} is flat and keeps cost {net.cost}, margin {net.margin}"
        if net.cost < 0 or net.margin < 0:
            yield f"{name} has cost {net.cost}, margin {net.margin}"


def _nets(positions: list[Position], holdings: list[Holding]) -> Iterator[tuple[str, Net]]:
    for position in positions:
        yield "position " + " ".join(position.key), position.net
    for holding in holdings:
        yield f"holding {holding.exchange} {holding.symbol}", holding.net


def _cover(orders: list[Order], positions: list[Position], holdings: list[Holding]) -> Iterator[str]:
    """Holdings are never sold twice: CNC positions, holdings and pending sells of a symbol stay at or above 0."""
    free: dict[tuple[str, str], Decimal] = {(row.exchange, row.symbol): row.quantity for row in holdings}
    for key, quantity in list(free.items()):
        if quantity < 0:
            yield f"holding {key} is {quantity}"
    for position in positions:
        if position.key.product is Product.CNC:
            place = position.key.exchange, position.key.symbol
            free[place] = free.get(place, ZERO) + position.quantity
    for order in orders:
        if order.status.resting and order.key.product is Product.CNC and order.request.action is Action.SELL:
            place = order.key.exchange, order.key.symbol
            free[place] = free.get(place, ZERO) - order.request.quantity
    for key, quantity in free.items():
        if quantity < 0:
            yield f"CNC of {key}: position, holdings and pending sells come to {quantity}"
