"""The Rust matcher's book, kept in step with what is committed. It decides; the account carries out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from gateway_matcher import Matcher

from gateway.model import Instrument
from gateway.trade.core.gtt import Gtt, Side
from gateway.trade.core.judge import Quote
from gateway.trade.core.money import ZERO, tidy
from gateway.trade.core.orders import Order, PriceType, Status
from gateway.trade.ports import StreamTick
from gateway.trade.user import Decision, Entry

_PLACES = len(str(Matcher.PRICE_SCALE)) - 1


def to_price(scaled: int) -> Decimal:
    """A price of the matcher as INR."""
    return tidy(Decimal(scaled).scaleb(-_PLACES))


def to_scaled(price: Decimal) -> int | None:
    """INR as the matcher wants it; None for 0, which means none."""
    return int(price.scaleb(_PLACES)) if price else None


class Matching:
    """Which orders and GTTs rest in the matcher, and whose they are.

    `clock_ns` is the clock that stamps arrivals (Unix ns of the wall clock), `max_age_ns` how old a price may be for
    an order to enter on it.
    """

    def __init__(self, matcher: Matcher, clock_ns: Callable[[], int], max_age_ns: int) -> None:
        self._matcher = matcher
        self._clock_ns = clock_ns
        self._max_age_ns = max_age_ns
        self._owners: dict[int, Entry] = {}

    def ingest(self, ticks: Sequence[StreamTick]) -> list[tuple[Entry, Decision]]:
        """Shows ticks to the book; what fills or fires has left it."""
        found: list[tuple[Entry, Decision]] = []
        ingest, owners = self._matcher.ingest, self._owners
        for topic, payload, arrival_ns, replay in ticks:
            for decision in ingest(topic, payload, arrival_ns, replay):
                kind, number = decision[0], decision[1]
                owner = owners.get(number) if kind == "triggered" else owners.pop(number, None)
                if owner is not None:
                    found.append((owner, decision))
        return found

    def enter(self, entry: Entry, order: Order) -> Decision | None:
        """Lets a committed resting order rest, judged by the last price; what that decides is returned."""
        number, request = int(order.orderid), order.request
        if number in self._owners:
            return None
        kind = PriceType.LIMIT if order.triggered else request.pricetype
        trigger = None if order.triggered else to_scaled(request.trigger_price)
        terms = (number, number, str(request.action), str(kind), to_scaled(request.price), trigger)
        now_ns = self._clock_ns()
        said, price = self._matcher.enter(request.exchange, request.symbol, terms, now_ns, self._max_age_ns)
        if said == "filled":
            return "fill", number, price
        self._owners[number] = entry
        if said == "open" and order.status is Status.TRIGGER_PENDING:
            return "triggered", number
        return None

    def restore(self, entry: Entry, order: Order) -> None:
        """Lets an order rest as it was, without judging it: only a tick to come may fill it."""
        number, request = int(order.orderid), order.request
        if number in self._owners:
            return
        price, trigger = to_scaled(request.price), to_scaled(request.trigger_price)
        terms = (number, number, str(request.action), str(request.pricetype), price, trigger)
        self._matcher.restore(request.exchange, request.symbol, terms, order.triggered)
        self._owners[number] = entry

    def take(self, orderid: str) -> None:
        """Takes an order out, if it rests."""
        number = int(orderid)
        if self._owners.pop(number, None) is not None:
            self._matcher.remove(number)

    def add_gtt(self, entry: Entry, gtt: Gtt) -> None:
        """Lets a GTT wait. It fires on a tick to come."""
        number, request = int(gtt.trigger_id), gtt.request
        if number in self._owners:
            return
        sl, tg = to_scaled(request.trigger(Side.SL)), to_scaled(request.trigger(Side.TG))
        self._matcher.add_gtt(request.exchange, request.symbol, number, number, sl, tg)
        self._owners[number] = entry

    def take_gtt(self, trigger_id: str) -> None:
        """Takes a GTT out, if it waits."""
        number = int(trigger_id)
        if self._owners.pop(number, None) is not None:
            self._matcher.remove_gtt(number)

    def rebuild(self, entry: Entry) -> None:
        """Makes the book hold exactly what the user's account says, unjudged."""
        for number in [number for number, owner in self._owners.items() if owner is entry]:
            del self._owners[number]
            if not self._matcher.remove_gtt(number):
                self._matcher.remove(number)
        for order in entry.account.ledger.resting.values():
            self.restore(entry, order)
        for gtt in entry.account.ledger.gtts.values():
            if gtt.active:
                self.add_gtt(entry, gtt)

    def quote(self, instrument: Instrument) -> Quote | None:
        """The newest usable price, however old."""
        found = self._matcher.quote(*instrument)
        if found is None:
            return None
        ltp, bid, ask, _ = found
        return Quote(to_price(ltp), to_price(bid) if bid else ZERO, to_price(ask) if ask else ZERO)

    @property
    def resting(self) -> tuple[int, int]:
        """How many orders rest and how many GTTs wait."""
        return self._matcher.resting()
