"""gateway.log: masking, both outputs, bounded events."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from gateway import log


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    known, gates = set(log._known), dict(log._gates)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    log._known.clear()
    log._known.update(known)
    log._gates.clear()
    log._gates.update(gates)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_json_lines_from_us_and_from_the_standard_library(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO", "json")
    log.get("gateway.feed").info("feed connected", feed="zerodha", count=3)
    logging.getLogger("lib").warning("old %s", "style")
    log.get("gateway.feed").debug("not written")
    first, second = lines(capsys)
    assert (first["event"], first["feed"], first["count"], first["level"]) == ("feed connected", "zerodha", 3, "info")
    assert str(first["timestamp"]).endswith("Z")
    assert (second["event"], second["logger"]) == ("old style", "lib")


@pytest.mark.parametrize("how", ["json", "console"])
def test_secrets_are_masked_by_name_and_by_value(capsys: pytest.CaptureFixture[str], how: str) -> None:
    log.configure("INFO", how)
    log.know_secret("s3cr3t-t0ken", "abc")
    logger = log.get("x")
    logger.info("login", api_key="one-key", apikey="two-key", accessToken="three-key", key_id=5, abc="abc")
    logger.info("url", url="wss://h/?t=s3cr3t-t0ken", nested={"Authorization": "four-key", "list": ["s3cr3t-t0ken"]})
    logging.getLogger("lib").error("bad token %s", "s3cr3t-t0ken")
    try:
        raise ValueError("refused s3cr3t-t0ken")
    except ValueError:
        logger.exception("failed")
    text = capsys.readouterr().err
    for secret in ("s3cr3t-t0ken", "one-key", "two-key", "three-key", "four-key"):
        assert secret not in text
    assert "ValueError" in text
    assert "5" in text
    assert "abc" in text


def test_level_changes_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("ERROR", "json")
    logger = log.get("x")
    logger.info("one")
    log.set_level("INFO")
    logger.info("two")
    assert [line["event"] for line in lines(capsys)] == ["two"]


def test_limited_writes_the_first_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("INFO", "json")
    logger = log.get("x")
    for number in range(10):
        log.limited(logger, "bad topic", now=100.0).warning("bad topic", number=number)
        log.limited(logger, "other", now=100.0).warning("other")
    log.limited(logger, "bad topic", now=100.5).warning("bad topic")
    log.limited(logger, "bad topic", now=101.1).warning("bad topic", number=10)
    written = [(line["event"], line.get("number"), line.get("suppressed")) for line in lines(capsys)]
    assert written == [("bad topic", 0, None), ("other", None, None), ("bad topic", 10, 10)]


def test_limited_does_not_grow_with_hostile_keys() -> None:
    for number in range(5000):
        log.limited(log.get("x"), f"key {number}")
    assert len(log._gates) <= 1024
