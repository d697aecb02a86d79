"""Messages of the tick stream: topics, native ticks, sequences."""

from __future__ import annotations

import pytest

from gateway.model import Instrument
from gateway.tools.stream import NativeFilter, Sequence, Tick, instrument, parse, parse_symbol


def tick(topic: str, arrival: int, payload: bytes = b"{}", seq: int = 1) -> Tick:
    return Tick(topic.encode(), payload, seq, arrival)


def test_messages_that_are_no_ticks_are_passed_over() -> None:
    stamp = (7).to_bytes(8, "big") + (9).to_bytes(8, "big")
    assert parse([b"NSE_SBIN_LTP", b"{}", stamp]) == Tick(b"NSE_SBIN_LTP", b"{}", 7, 9)
    assert parse([b"_health", b"{}"]) is None
    assert parse([b"_health", b"{}", stamp]) is None
    assert parse([b"NSE_SBIN_LTP", b"{}", stamp[:15]]) is None


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (b"NSE_SBIN_LTP", Instrument("NSE", "SBIN")),
        (b"NSE_INDEX_NIFTY_QUOTE", Instrument("NSE_INDEX", "NIFTY")),
        (b"CRYPTO_SOL_INR_DEPTH", Instrument("CRYPTO", "SOL_INR")),
        (b"GLOBAL_INDEX_US30_LTP", Instrument("GLOBAL_INDEX", "US30")),
        (b"NSE_SBIN_MINUTE", None),
        (b"NSE_LTP", None),
        (b"LTP", None),
        (b"NSE_\xff_LTP", None),
        (b"", None),
    ],
)
def test_topics(topic: bytes, expected: Instrument | None) -> None:
    assert instrument(topic) == expected


def test_symbols_on_the_command_line() -> None:
    assert parse_symbol(" nse:M&M ") == Instrument("NSE", "M&M")
    for bad in ("SBIN", "NSE:", ":SBIN", ""):
        with pytest.raises(ValueError, match="EXCHANGE:SYMBOL"):
            parse_symbol(bad)


def test_copies_for_lower_modes_are_told_from_ticks() -> None:
    native = NativeFilter()
    ticks = [
        (tick("NSE_SBIN_DEPTH", 5, b"d"), True),
        (tick("NSE_SBIN_QUOTE", 5, b"d"), False),
        (tick("NSE_TCS_LTP", 5, b"d"), True),
        (tick("NSE_SBIN_LTP", 5, b"d"), False),
        (tick("NSE_SBIN_LTP", 6, b"d"), True),
        (tick("NSE_SBIN_QUOTE", 6, b"d"), True),
        (tick("NSE_SBIN_LTP", 6, b"other"), True),
        (tick("NSE_SBIN_LTP", 6, b"other"), True),
        (tick("NSE_SBIN_ODD", 6, b"d"), False),
    ]
    assert [native.is_native(one) for one, _ in ticks] == [expected for _, expected in ticks]


def test_gaps_repeats_and_restarts() -> None:
    sequence = Sequence()
    assert sequence.fresh(tick("A_B_LTP", 10, seq=41)), "the first number may be anything"
    assert not sequence.fresh(tick("A_B_LTP", 10, seq=41)), "the last value, said again"
    assert not sequence.fresh(tick("A_B_LTP", 9, seq=40))
    assert sequence.fresh(tick("A_B_LTP", 11, seq=42))
    assert sequence.fresh(tick("A_C_LTP", 11, seq=7))
    assert sequence.lost == 0
    assert sequence.fresh(tick("A_B_LTP", 12, seq=46))
    assert (sequence.lost, sequence.restarts) == (3, 0)
    assert sequence.fresh(tick("A_B_LTP", 20, seq=1))
    assert (sequence.lost, sequence.restarts) == (3, 1)
