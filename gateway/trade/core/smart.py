"""Smart orders: one order that takes a position to a signed target (rest-api, the table of eight rows)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from gateway.trade.core.errors import wrong
from gateway.trade.core.inputs import bounded
from gateway.trade.core.money import LIMIT, exact
from gateway.trade.core.orders import Action, OrderRequest

#: what an `order_notification` and the answer say where nothing is to do (order-events)
MATCHED = "Positions Already Matched. No Action needed."


class Plan(NamedTuple):
    """The order that a smart order comes to."""

    action: Action
    quantity: Decimal


@exact
def plan(action: Action, quantity: Decimal, target: Decimal, current: Decimal) -> Plan | None:
    """The order that takes `current` to `target` (signed units); None where nothing is to do.

    Flat with target 0 is a plain order of `quantity`. Otherwise the difference decides, whatever `action` says.
    Raises InvalidError where a plain order has no quantity.
    """
    if not bounded(target):
        raise wrong("position_size", target, f"a number between -{LIMIT} and {LIMIT}")
    if not target and not current:
        if not bounded(quantity) or quantity <= 0:
            raise wrong("quantity", quantity, "above 0 where position_size is 0 and there is no position")
        return Plan(action, quantity)
    difference = target - current
    if not difference:
        return None
    return Plan(Action.BUY if difference > 0 else Action.SELL, abs(difference))


def smart_request(request: OrderRequest, target: Decimal, current: Decimal) -> OrderRequest | None:
    """The order to place for a smart order; None where nothing is to do."""
    found = plan(request.action, request.quantity, target, current)
    return None if found is None else replace(request, action=found.action, quantity=found.quantity)
