"""The exchange calendar: sessions, holidays, square-off and settlement times, read from data (`calendar.toml`).

All times are IST. A trading day starts at 03:00 (sandbox, "Positions, holdings, PnL"): what happens at 01:00 belongs
to the day before.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from importlib import resources
from typing import Any, NamedTuple

from gateway.trade.core.errors import OrderError

IST = timezone(timedelta(hours=5, minutes=30), "IST")
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_TIMES = ("open", "close", "mis_open", "square_off", "expiry")
#: no exchange closes for longer; a calendar that has no session within it is wrong
_LONGEST_BREAK = 60


class CalendarError(OrderError):
    """Calendar data that cannot be used; the message names the table and key."""

    status = 500


class Session(NamedTuple):
    """One day of one exchange, aware times in IST."""

    open: datetime
    close: datetime
    #: from when MIS may open a position, and from when no more (positions are then closed)
    mis_open: datetime
    square_off: datetime


class Hours(NamedTuple):
    """The usual day of one exchange."""

    open: time
    close: time
    mis_open: time
    square_off: time
    expiry: time
    always: bool = False


class Special(NamedTuple):
    """What is unusual about one day; no `open` and no `close` mean a holiday."""

    name: str
    open: time | None = None
    close: time | None = None
    square_off: time | None = None


@dataclass(frozen=True)
class Calendar:
    """Answers every question about days and times that orders, positions and settlements have."""

    day_start: time
    hours: Mapping[str, Hours]
    days: Mapping[tuple[str, date], Special]

    def trading_day(self, at: datetime) -> date:
        """The day that `at` belongs to; it changes at the day start."""
        start = timedelta(hours=self.day_start.hour, minutes=self.day_start.minute)
        return (at.astimezone(IST) - start).date()

    def day_begin(self, day: date) -> datetime:
        """The moment at which trading day `day` starts."""
        return datetime.combine(day, self.day_start, IST)

    def always_open(self, exchange: str) -> bool:
        """Whether the exchange trades day and night, without square-off."""
        return self.hours[exchange].always

    def session(self, exchange: str, day: date) -> Session | None:
        """The session of `exchange` on `day`; None on a holiday or a weekend without a special session."""
        hours, special = self.hours[exchange], self.days.get((exchange, day))
        if special is None:
            if day.weekday() >= 5 and not hours.always:
                return None
            return _session(day, hours.open, hours.close, hours.mis_open, hours.square_off)
        if special.open is None:
            return None
        # an evening session ends as usual; MIS may be entered from its opening
        close = special.close or hours.close
        usual = hours.mis_open if special.open <= hours.open else special.open
        return _session(day, special.open, close, usual, special.square_off or min(hours.square_off, close))

    def mis_open(self, exchange: str, at: datetime) -> bool:
        """Whether a MIS order may open a position at `at`."""
        if self.always_open(exchange):
            return True
        session = self.session(exchange, at.astimezone(IST).date())
        return session is not None and session.mis_open <= at < session.square_off

    def mis_hours(self, exchange: str) -> str:
        """When MIS may open a position on a usual day, for messages."""
        hours = self.hours[exchange]
        return f"{hours.mis_open:%H:%M} to {hours.square_off:%H:%M} IST on a trading day"

    def next_square_off(self, exchange: str, after: datetime) -> datetime | None:
        """The first square-off later than `after`; None where there is never one."""
        if self.always_open(exchange):
            return None
        local = after.astimezone(IST).date()
        for ahead in range(_LONGEST_BREAK):
            session = self.session(exchange, local + timedelta(days=ahead))
            if session is not None and session.square_off > after:
                return session.square_off
        raise CalendarError(f"{exchange} has no session within {_LONGEST_BREAK} days of {local}")

    def settlement(self, exchange: str, traded_on: date) -> datetime:
        """When a CNC trade of `traded_on` is delivered: the start of the next trading day (T+1)."""
        for ahead in range(1, _LONGEST_BREAK):
            day = traded_on + timedelta(days=ahead)
            if self.session(exchange, day) is not None:
                return self.day_begin(day)
        raise CalendarError(f"{exchange} has no session within {_LONGEST_BREAK} days of {traded_on}")

    def expires(self, exchange: str, expiry: date) -> datetime:
        """When contracts that expire on `expiry` settle."""
        return datetime.combine(expiry, self.hours[exchange].expiry, IST)

    def reset_due(self, weekday: str, since: datetime, at: datetime) -> datetime | None:
        """The newest start of a `weekday` (`monday`…, or `never`) in (since, at]; None where there is none."""
        if weekday.lower() == "never":
            return None
        today = self.trading_day(at)
        day = today - timedelta(days=(today.weekday() - WEEKDAYS.index(weekday.lower())) % 7)
        moment = self.day_begin(day)
        return moment if since < moment <= at else None


def _session(day: date, opens: time, close: time, mis_open: time, square_off: time) -> Session:
    return Session(*(datetime.combine(day, moment, IST) for moment in (opens, close, mis_open, square_off)))


def builtin() -> Calendar:
    """The calendar that comes with the gateway."""
    return parse([builtin_text()])


def builtin_text() -> str:
    """The text of the calendar that comes with the gateway, to be parsed together with an operator's."""
    return resources.files(__package__).joinpath("calendar.toml").read_text(encoding="utf-8")


def parse(texts: Iterable[str]) -> Calendar:
    """A calendar from TOML texts, later ones adding to and replacing earlier ones. Raises CalendarError."""
    day_start, groups = time(3), dict[str, list[str]]()
    hours: dict[str, Hours] = {}
    entries: list[Mapping[str, Any]] = []
    for text in texts:
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise CalendarError(f"the calendar is not TOML: {error}") from error
        unknown = data.keys() - {"day_start", "groups", "exchange", "day"}
        if unknown:
            raise CalendarError(f"calendar: {', '.join(sorted(unknown))} is none of day_start, groups, exchange, day")
        day_start = data.get("day_start", day_start)
        groups |= data.get("groups", {})
        hours |= {name: _hours(name, table) for name, table in data.get("exchange", {}).items()}
        entries += data.get("day", [])
    days: dict[tuple[str, date], Special] = {}
    for entry in entries:
        days |= _day(entry, groups, hours)
    return Calendar(day_start, hours, days)


def _hours(name: str, table: Mapping[str, Any]) -> Hours:
    where = f"exchange.{name}"
    if table.get("always"):
        return Hours(time(0), time(23, 59), time(0), time(23, 59), _time(where, table, "expiry"), always=True)
    opens, close, mis_open, square_off, expiry = (_time(where, table, key) for key in _TIMES)
    return Hours(opens, close, mis_open, square_off, expiry)


def _time(where: str, table: Mapping[str, Any], key: str, default: time | None = None) -> time:
    value = table.get(key, default)
    if not isinstance(value, time):
        raise CalendarError(f"calendar: {where}.{key} is {value!r}; it must be a time such as 09:15:00")
    return value


def _day(
    entry: Mapping[str, Any], groups: Mapping[str, list[str]], hours: Mapping[str, Hours]
) -> dict[tuple[str, date], Special]:
    """One `[[day]]`: exchanges that are closed, trade in the evening only, or trade on a special day."""
    day, name = entry.get("date"), str(entry.get("name", ""))
    if not isinstance(day, date) or isinstance(day, datetime):
        raise CalendarError(f"calendar: date of day {name!r} is {day!r}; it must be a date such as 2026-01-26")
    where, found = f"day {day}", dict[tuple[str, date], Special]()
    for word in ("closed", "evening", "special"):
        for exchange in _members(where, entry.get(word, []), groups, hours):
            found[exchange, day] = _special(word, where, name, entry)
    return found


def _special(word: str, where: str, name: str, entry: Mapping[str, Any]) -> Special:
    if word == "closed":
        return Special(name)
    if word == "evening":
        return Special(name, _time(where, entry, "open"))
    return Special(name, *(_time(where, entry, key) for key in ("open", "close", "square_off")))


def _members(
    where: str, names: Iterable[str], groups: Mapping[str, list[str]], hours: Mapping[str, Hours]
) -> Iterable[str]:
    for name in names:
        for exchange in groups.get(name, [name]):
            if exchange not in hours:
                may = ", ".join([*groups, *hours])
                raise CalendarError(f"calendar: {where} names {exchange!r}; it must be one of {may}")
            yield exchange
