"""What subscribers of the tick stream get (zmq-bus, "The tick stream"). A foreign publisher makes the ticks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import orjson
import zmq

from tests.harness import Gateway
from tests.integration.peers import Subscriber, stream_of, wait_for

BOOK = {"buy": [{"price": 1, "quantity": 1, "orders": 1}], "sell": []}


def send(pub: zmq.Socket[bytes], topic: bytes, price: int | None = 0) -> None:
    body: dict[str, object] = {} if price is None else {"ltp": price}
    if topic.endswith(b"DEPTH"):
        body["depth"] = BOOK
    pub.send_multipart([topic, orjson.dumps(body)])


def settled(subscriber: Subscriber, pub: zmq.Socket[bytes], topic: bytes) -> Subscriber:
    """Waits until a subscription counts: until a tick of it has come; then until none is on its way."""

    def heard() -> bool:
        send(pub, topic)
        return not subscriber.silent(0.05)

    wait_for(heard)
    while not subscriber.silent(0.1):
        pass
    return subscriber


def test_ticks_come_with_number_and_time_and_without_the_broker(endpoint: str, pub: zmq.Socket[bytes]) -> None:
    with Subscriber(endpoint, b"NSE_ONE_LTP") as one:
        settled(one, pub, b"NSE_ONE_LTP")
        began = time.time_ns()
        send(pub, b"NSE_ONE_LTP", 1)
        send(pub, b"angel_NSE_ONE_LTP", 2)
        first, second = one.next(), one.next()
        assert [(m.topic, m.payload) for m in (first, second)] == [
            (b"NSE_ONE_LTP", {"ltp": 1}),
            (b"NSE_ONE_LTP", {"ltp": 2}),
        ]
        assert second.sequence == first.sequence + 1
        assert began < first.arrival_ns <= second.arrival_ns < time.time_ns()


def test_last_value_goes_to_the_newcomer_only_and_the_next_tick_to_everyone(
    endpoint: str, pub: zmq.Socket[bytes]
) -> None:
    topic = b"NSE_LAST_QUOTE"
    with Subscriber(endpoint, topic) as early, Subscriber(endpoint, b"NSE_LAST_QUOTE") as other:
        settled(early, pub, topic)
        settled(other, pub, topic)
        while not early.silent(0.1):
            pass
        send(pub, topic, 7)
        live = early.next()
        assert other.next() == live
        for _ in range(5):
            with Subscriber(endpoint, topic) as late:
                assert late.next() == live, "the last value, with its number and time"
                assert late.silent(0.1)
                assert early.silent(0.1)
                send(pub, topic, 8)
                live = late.next()
                assert live.payload == {"ltp": 8}
                assert early.next() == live
                assert other.next() == live
        assert early.silent(0.1)


def test_a_newcomer_never_swallows_the_next_live_tick(endpoint: str, pub: zmq.Socket[bytes]) -> None:
    """Ticks flow all the time while subscribers come and go: the one that stays misses none."""
    topic = b"NSE_FLOW_LTP"
    with Subscriber(endpoint, topic, b"NSE_NEVER_LTP") as stays:
        settled(stays, pub, topic)
        for price in range(1, 301):
            send(pub, topic, price)
            if price % 10 == 0:
                # with a last value, without one, a mere prefix
                topics = (topic, b"NSE_NONE%d_LTP" % price, b"NSE_FLOW")
                with Subscriber(endpoint, topics[price // 10 % 3]):
                    time.sleep(0.01)
        got = [stays.next() for _ in range(300)]
    assert [m.payload["ltp"] for m in got] == list(range(1, 301))
    assert [m.sequence - got[0].sequence for m in got] == list(range(300))


def test_modes_nest_native_first_under_the_topic_asked_for(endpoint: str, pub: zmq.Socket[bytes]) -> None:
    topics = [b"NSE_NEST_LTP", b"NSE_NEST_QUOTE", b"NSE_NEST_DEPTH"]
    with Subscriber(endpoint, *topics) as everything, Subscriber(endpoint, topics[0]) as low:
        settled(everything, pub, topics[0])
        settled(low, pub, topics[0])
        while not everything.silent(0.1):
            pass
        numbers: dict[bytes, list[int]] = defaultdict(list)
        lasts: dict[bytes, int] = {}
        for price, (native, copies) in enumerate([(2, 3), (1, 2), (0, 1), (2, 3), (1, 2)], 1):
            send(pub, topics[native], price)
            got = [everything.next() for _ in range(copies)]
            assert [m.topic for m in got] == topics[native::-1], "the native topic first"
            assert len({m.arrival_ns for m in got}) == 1
            assert all(m.payload == got[0].payload for m in got)
            lasts[topics[0]] = got[-1].sequence
            for m in got:
                numbers[m.topic].append(m.sequence)
            assert low.next() == got[-1]
        send(pub, topics[2], None)
        assert [everything.next().topic, everything.silent(0.1), low.silent(0.1)] == [topics[2], True, True]
        for row in numbers.values():
            assert row == list(range(row[0], row[0] + len(row))), "a gap"


def test_a_short_prefix_listens_and_wants_nothing(endpoint: str, pub: zmq.Socket[bytes]) -> None:
    with Subscriber(endpoint, b"") as recorder, Subscriber(endpoint, b"_health") as health:
        before = health.json(b"_health")["feeds"][0]["subscribed"]

        def heard() -> bool:
            send(pub, b"NSE_LISTEN_DEPTH", 1)
            return (recorder.raw(0.05) or [b""])[0] == b"NSE_LISTEN_DEPTH"

        wait_for(heard)
        assert health.json(b"_health")["feeds"][0]["subscribed"] == before
        with Subscriber(endpoint, b"NSE_LISTEN_LTP") as one:
            assert one.next().payload["ltp"] == 1
            send(pub, b"NSE_LISTEN_DEPTH", 2)
            seen: list[bytes] = []
            while len(seen) < 2:
                frames = recorder.raw()
                assert frames is not None
                if frames[0].startswith(b"NSE_LISTEN") and orjson.loads(frames[1])["ltp"] == 2:
                    seen.append(frames[0])
            assert seen == [b"NSE_LISTEN_DEPTH", b"NSE_LISTEN_LTP"], "it sees the copies too"


def test_nobody_is_asked_for_a_prefix_that_no_tick_has(endpoint: str, pub: zmq.Socket[bytes]) -> None:
    with Subscriber(endpoint, b"angel_NSE_LAST_QUOTE", b"rubbish", b"\x01\x00") as odd:
        send(pub, b"angel_NSE_LAST_QUOTE", 9)
        assert odd.silent(0.3)


def test_a_stalled_subscriber_holds_up_nobody_and_sees_the_gap(endpoint: str, pub: zmq.Socket[bytes]) -> None:
    """A stopped process reads nothing while 150,000 ticks pass; another subscriber gets each in time."""
    code = (
        "import sys, zmq, struct\n"
        "s = zmq.Context().socket(zmq.SUB); s.rcvhwm = 1000; s.connect(sys.argv[1]); s.subscribe(b'NSE_STALL_LTP')\n"
        "frames = s.recv_multipart(); print('here', flush=True); lost = 0\n"
        "while b'end' not in frames[1]:\n"
        "    before, frames = frames, s.recv_multipart()\n"
        "    lost += struct.unpack('>QQ', frames[2])[0] - struct.unpack('>QQ', before[2])[0] - 1\n"
        "print(lost)"
    )
    topic, count = b"NSE_STALL_LTP", 150_000
    with Subscriber(endpoint, topic) as good:
        settled(good, pub, topic)
        with subprocess.Popen([sys.executable, "-c", code, endpoint], stdout=subprocess.PIPE, text=True) as stalled:
            assert stalled.stdout is not None
            assert stalled.stdout.readline() == "here\n"
            stalled.send_signal(signal.SIGSTOP)
            payload = b'{"ltp":1,"x":"' + b"x" * 500 + b'"}'
            began = time.monotonic()
            for _ in range(count // 500):
                for _ in range(500):
                    pub.send_multipart([topic, payload])
                for _ in range(500):
                    good.next()
            took = time.monotonic() - began
            stalled.send_signal(signal.SIGCONT)
            while stalled.poll() is None:
                # It may miss this one too: its queue is full until it has caught up.
                pub.send_multipart([topic, b'{"ltp":1,"end":1}'])
                time.sleep(0.05)
            lost = int(stalled.stdout.readline())
        assert took < 30, f"{took:.1f} s"
        assert 0 < lost < count


def test_the_default_is_a_unix_socket_that_a_dead_one_does_not_block() -> None:
    with Gateway("--feed", "none") as gateway:
        assert stream_of(gateway).startswith("ipc://")
        with Subscriber(stream_of(gateway), b"_health") as health:
            assert health.json(b"_health")["feeds"] == []
        gateway.kill()
        follower = Gateway("--feed", "none", home=gateway.home)
        with follower, Subscriber(stream_of(follower), b"_health") as health:
            assert health.json(b"_health", 3)["feeds"] == []


def test_any_free_tcp_port() -> None:
    with Gateway("--feed", "none", TICK_STREAM="tcp://127.0.0.1:0") as gateway:
        ports = listening(gateway.child_pid())
        known = {int(url.rsplit(":", 1)[1]) for url in (gateway.ws_url, gateway.zmq_url)}
        (port,) = ports - known
        with Subscriber(f"tcp://127.0.0.1:{port}", b"_health") as health:
            assert health.json(b"_health", 3)["feeds"] == []


def listening(pid: int) -> set[int]:
    """TCP ports that a process listens on."""
    inodes = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if os.path.islink(fd)}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]]
    return {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
