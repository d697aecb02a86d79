"""The recording format: what goes in comes out, and a crash costs at most the last record."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tools.recording import MAGIC, Record, RecordingError, Writer, encode, read, write

records = st.lists(
    st.builds(Record, st.integers(0, 2**64 - 1), st.binary(min_size=1, max_size=40), st.binary(max_size=400)),
    max_size=20,
)
TWO = [Record(1, b"NSE_SBIN_LTP", b'{"ltp":1}'), Record(2, b"NSE_TCS_QUOTE", b'{"ltp":2}')]


@given(records, records)
def test_what_is_appended_is_read_in_order(
    tmp_path_factory: pytest.TempPathFactory, a: list[Record], b: list[Record]
) -> None:
    file = tmp_path_factory.mktemp("r") / "ticks"
    assert write(file, a) == len(a)
    assert write(file, b) == len(b)
    assert list(read(file)) == a + b


@settings(max_examples=200)
@given(cut=st.integers(0, 200), damage=st.booleans())
def test_a_torn_tail_costs_only_the_last_record(
    tmp_path_factory: pytest.TempPathFactory, cut: int, damage: bool
) -> None:
    file = tmp_path_factory.mktemp("r") / "ticks"
    write(file, TWO)
    whole = file.read_bytes()
    first_end = len(whole) - len(encode(TWO[1]))
    at = first_end + cut % (len(whole) - first_end)
    torn = whole[:at] + (bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] if damage else b"")
    file.write_bytes(torn)
    assert list(read(file)) == TWO[:1]
    with Writer(file) as writer:
        writer.append(encode(TWO[1]))
    assert file.read_bytes() == whole


@pytest.mark.parametrize("size", range(10))
def test_a_file_that_died_in_its_header_begins_anew(tmp_path: Path, size: int) -> None:
    (tmp_path / "r").write_bytes((MAGIC + b"\x00\x01")[:size])
    write(tmp_path / "r", TWO)
    assert list(read(tmp_path / "r")) == TWO


def test_foreign_files_and_later_versions_are_left_alone(tmp_path: Path) -> None:
    for content, message in ((b"symbol,price\n1,2\n", "not a recording"), (MAGIC + b"\x00\x02", "format 2")):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(RecordingError, match=message):
            Writer(tmp_path / "f")
        with pytest.raises(RecordingError, match=message):
            list(read(tmp_path / "f"))
        assert (tmp_path / "f").read_bytes() == content


def test_recordings_are_private(tmp_path: Path) -> None:
    write(tmp_path / "r", TWO)
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o600
