"""placegttorder, modifygttorder, cancelgttorder, gttorderbook."""

from __future__ import annotations

from typing import Any

from gateway.model import Instrument
from gateway.trade.calls.call import Call
from gateway.trade.calls.rows import gtt_row
from gateway.trade.core import inputs
from gateway.trade.core.errors import OrderError, TerminalOrderError, UnknownOrderError
from gateway.trade.core.gtt import GttRequest, parse_gtt
from gateway.trade.desk import Masters
from gateway.trade.queries import Queries


class GttCalls:
    """Handlers; nothing here waits for prices, for placing a GTT fires nothing."""

    def __init__(self, masters: Masters, queries: Queries) -> None:
        self._masters = masters
        self._queries = queries

    async def placegttorder(self, call: Call) -> dict[str, Any]:
        """`trigger_id`."""
        request = parse_gtt(call.fields)
        work = call.start()
        changes = work.do(work.account.place_gtt(request, self._masters.find(*_place(request)), work.at))
        return {"trigger_id": changes.orderid}

    async def modifygttorder(self, call: Call) -> dict[str, Any]:
        """`trigger_id`."""
        trigger_id, request = inputs.text(call.fields, "trigger_id"), parse_gtt(call.fields)
        await self._must_wait(call, trigger_id)
        work = call.start()
        before = work.account.ledger.gtts.get(trigger_id)
        call.desk.matching.take_gtt(trigger_id)
        try:
            work.do(work.account.modify_gtt(trigger_id, request, self._masters.find(*_place(request)), work.at))
        except OrderError:
            if before is not None and before.active:
                call.desk.matching.add_gtt(call.entry, before)
            raise
        return {"trigger_id": trigger_id}

    async def cancelgttorder(self, call: Call) -> dict[str, Any]:
        """`trigger_id`."""
        trigger_id = inputs.text(call.fields, "trigger_id")
        await self._must_wait(call, trigger_id)
        work = call.start()
        work.do(work.account.cancel_gtt(trigger_id, work.at))
        return {"trigger_id": trigger_id}

    async def gttorderbook(self, call: Call) -> dict[str, Any]:
        """Active GTTs, and those that ended today."""
        await call.entry.settled()
        gtts = sorted(call.entry.account.ledger.gtts.values(), key=lambda gtt: gtt.trigger_id)
        return {"data": [gtt_row(gtt) for gtt in gtts]}

    async def _must_wait(self, call: Call, trigger_id: str) -> None:
        if trigger_id in call.entry.account.ledger.gtts:
            return
        old = await self._queries.gtt(call.entry.user_id, trigger_id)
        if old is not None:
            raise TerminalOrderError(f"GTT {trigger_id} is {old.status} already", "trigger_id", trigger_id)
        raise UnknownOrderError(f"trigger_id {trigger_id[:40]!r} is none of your GTTs", "trigger_id")


def _place(request: GttRequest) -> Instrument:
    return Instrument(request.exchange, request.symbol)
