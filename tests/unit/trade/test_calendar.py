"""Sessions, holidays, square-off, settlement and reset days; and what is wrong with bad data."""

# a Decimal equals an int, and a word of an enumeration its text
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from gateway.trade.core.calendar import IST, CalendarError, builtin_text, parse
from tests.unit.trade.desk import CALENDAR


def ist(*when: int) -> datetime:
    return datetime(*when, tzinfo=IST)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("exchange", "square_off"),
    [("NSE", time(15, 15)), ("BSE", time(15, 15)), ("NFO", time(15, 15)), ("BFO", time(15, 15)), ("CDS", time(16, 45)),
     ("BCD", time(16, 45)), ("NCDEX", time(17)), ("MCX", time(23, 30))],
)  # fmt: skip
def test_square_off_times(exchange: str, square_off: time) -> None:
    session = CALENDAR.session(exchange, date(2026, 7, 15))
    assert session is not None
    assert (session.mis_open.time(), session.square_off.time()) == (time(9), square_off)
    assert CALENDAR.next_square_off(exchange, ist(2026, 7, 15, 8)) == session.square_off
    assert CALENDAR.next_square_off(exchange, session.square_off) == datetime.combine(
        date(2026, 7, 16), square_off, IST
    )


@pytest.mark.parametrize(
    ("exchange", "day", "opens"),
    [("NSE", (2026, 1, 26), None), ("CDS", (2026, 2, 19), None), ("NSE", (2026, 2, 19), time(9, 15)),
     ("NSE", (2026, 3, 3), None), ("MCX", (2026, 3, 3), time(17)), ("MCX", (2026, 10, 2), None),
     ("NSE", (2026, 7, 18), None), ("NFO", (2026, 2, 1), time(9, 15)), ("CDS", (2026, 2, 1), None),
     ("NSE", (2026, 11, 24), None), ("NSE", (2026, 7, 15), time(9, 15))],
)  # fmt: skip
def test_holidays_evenings_and_special_sessions(exchange: str, day: tuple[int, int, int], opens: time | None) -> None:
    session = CALENDAR.session(exchange, date(*day))
    assert (session.open.time() if session else None) == opens


def test_the_holidays_of_2026_are_all_there() -> None:
    year = [date.fromordinal(date(2026, 1, 1).toordinal() + n) for n in range(365)]
    closed = [day for day in year if day.weekday() < 5 and CALENDAR.session("NSE", day) is None]
    assert len(closed) == 16


def test_mis_in_an_evening_session_opens_with_it() -> None:
    assert not CALENDAR.mis_open("MCX", ist(2026, 3, 3, 16, 59))
    assert CALENDAR.mis_open("MCX", ist(2026, 3, 3, 17, 0))
    assert not CALENDAR.mis_open("MCX", ist(2026, 3, 3, 23, 30))
    # a short special session squares off at its own time
    assert not CALENDAR.mis_open("MCX", ist(2026, 2, 1, 17, 0))


def test_other_time_zones_mean_the_same_moment() -> None:
    utc = datetime.fromisoformat("2026-07-15T09:45:00+00:00")
    assert not CALENDAR.mis_open("NSE", utc)
    assert CALENDAR.trading_day(datetime.fromisoformat("2026-07-15T21:29:00+00:00")) == date(2026, 7, 15)
    assert CALENDAR.trading_day(datetime.fromisoformat("2026-07-15T21:30:00+00:00")) == date(2026, 7, 16)


@pytest.mark.parametrize(
    ("traded", "settles"),
    [((2026, 7, 15), (2026, 7, 16)), ((2026, 7, 17), (2026, 7, 20)), ((2026, 10, 1), (2026, 10, 5)),
     ((2026, 11, 23), (2026, 11, 25)), ((2026, 7, 18), (2026, 7, 20))],
)  # fmt: skip
def test_settlement_counts_trading_days(traded: tuple[int, int, int], settles: tuple[int, int, int]) -> None:
    assert CALENDAR.settlement("NSE", date(*traded)) == ist(*settles, 3, 0)


@pytest.mark.parametrize(
    ("weekday", "since", "at", "due"),
    [("never", (2026, 7, 1), (2026, 7, 15), None), ("sunday", (2026, 7, 1), (2026, 7, 15), (2026, 7, 12, 3)),
     ("Sunday", (2026, 7, 12, 3), (2026, 7, 18), None), ("sunday", (2026, 7, 13), (2026, 7, 19, 2, 59), None),
     ("sunday", (2026, 7, 13), (2026, 7, 19, 3), (2026, 7, 19, 3))],
)  # fmt: skip
def test_reset_days(weekday: str, since: tuple[int, ...], at: tuple[int, ...], due: tuple[int, ...] | None) -> None:
    assert CALENDAR.reset_due(weekday, ist(*since), ist(*at)) == (ist(*due) if due else None)


def test_crypto_never_closes() -> None:
    assert CALENDAR.next_square_off("CRYPTO", ist(2026, 7, 18, 12)) is None
    assert CALENDAR.mis_open("CRYPTO", ist(2026, 12, 25, 2))
    assert CALENDAR.expires("CRYPTO", date(2026, 10, 30)) == ist(2026, 10, 30, 17, 30)


def test_an_operator_adds_a_session_and_moves_a_square_off() -> None:
    more = """
    [[day]]
    date = 2026-11-08
    name = "Muhurat trading"
    special = ["equity"]
    open = 18:00:00
    close = 19:00:00
    square_off = 18:45:00
    [exchange.NSE]
    open = 09:15:00
    close = 15:30:00
    mis_open = 09:00:00
    square_off = 15:20:00
    expiry = 15:30:00
    """
    calendar = parse([builtin_text(), more])
    assert not calendar.mis_open("NSE", ist(2026, 11, 8, 12))
    assert calendar.mis_open("NSE", ist(2026, 11, 8, 18, 44))
    assert not calendar.mis_open("NSE", ist(2026, 11, 8, 18, 45))
    assert calendar.next_square_off("NSE", ist(2026, 7, 15, 12)) == ist(2026, 7, 15, 15, 20)
    assert calendar.session("NSE", date(2026, 1, 26)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("day_start = ", "the calendar is not TOML"), ("holidays = 1", "calendar: holidays is none of day_start, groups"),
     ("[exchange.X]\nopen = 9", "exchange.X.open is 9; it must be a time such as 09:15:00"),
     ("[[day]]\nname='x'\nclosed=[]", "date of day 'x' is None; it must be a date"),
     ("[[day]]\ndate=2026-01-01\nclosed=['LSE']", "day 2026-01-01 names 'LSE'; it must be one of"),
     ("[[day]]\ndate=2026-01-01\nspecial=['NSE']", "day 2026-01-01.open is None; it must be a time")],
)  # fmt: skip
def test_bad_data_is_named(text: str, message: str) -> None:
    with pytest.raises(CalendarError, match=message.replace(".", r"\.")):
        parse([builtin_text(), text])


def test_a_calendar_without_sessions_says_so() -> None:
    first = date(2026, 7, 15).toordinal()
    days = [date.fromordinal(first + n) for n in range(70)]
    closed = "".join(f"[[day]]\ndate = {day}\nclosed = ['NSE']\n" for day in days)
    calendar = parse([builtin_text(), closed])
    with pytest.raises(CalendarError, match=r"NSE has no session within 60 days of 2026-07-15"):
        calendar.next_square_off("NSE", ist(2026, 7, 15, 12))
    with pytest.raises(CalendarError):
        calendar.settlement("NSE", date(2026, 7, 14))
