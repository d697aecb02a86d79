"""Which topics of an XPUB socket in manual mode somebody subscribes to, whatever subscribers do."""

from __future__ import annotations

import os
from typing import Final

import zmq

#: Number of topics with a subscriber (libzmq 4.3.5; zmq.h lists it among the drafts, the library always answers).
_TOPICS_COUNT: Final = 116
#: What a subscriber may send up, bytes: topics are short, and each takes a tree of its bytes here.
_LONGEST_MESSAGE: Final = 4096


class Subscribers:
    """Repeats subscriptions to the socket, as manual mode demands, and says which topics came and went.

    Messages that ask for a subscription cannot be counted: the same subscriber may ask twice and leaves once, and
    one that died leaves no name. So the socket itself is asked. A pipe of our own lends itself for the
    question: a topic that is new to the socket when our pipe takes it has no other subscriber.
    """

    def __init__(self, sock: zmq.Socket[bytes], context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._sock = sock
        self._held: set[bytes] = set()
        self._doubtful: set[bytes] = set()
        # Nobody else can guess it.
        self._ours = b"\x00" + os.urandom(16)
        self._asked = False
        sock.setsockopt(zmq.XPUB_MANUAL_LAST_VALUE, 1)
        sock.maxmsgsize = _LONGEST_MESSAGE
        sock.getsockopt(_TOPICS_COUNT)
        address = f"inproc://subscribers-{self._ours.hex()}"
        sock.bind(address)
        self._probe = context.socket(zmq.XSUB)
        self._probe.linger = 0
        self._probe.connect(address)

    def close(self) -> None:
        """Closes our own pipe; the socket is the caller's."""
        self._probe.close()

    def take(self, message: bytes) -> tuple[bytes | None, bytes | None, list[bytes]]:
        """Deals with a message just received from the socket.

        Returns the topic that its sender subscribed to now, that topic once more if nobody had it before, and the
        topics that nobody has any more. The caller must send something before it receives again (manual mode).
        """
        more, topic = message[:1], message[1:]
        if topic == self._ours:
            return None, None, self._settle() if more == b"\x01" else []
        if more == b"\x01":
            self._sock.setsockopt(zmq.SUBSCRIBE, topic)
            new = topic not in self._held
            self._held.add(topic)
            return topic, topic if new else None, []
        if more == b"\x00":
            self._sock.setsockopt(zmq.UNSUBSCRIBE, topic)
            if topic in self._held:
                self._doubtful.add(topic)
                self._ask()
        return None, None, []

    def _ask(self) -> None:
        """Has our pipe send something, so that it is the one that subscriptions count for."""
        if not self._asked:
            self._asked = True
            self._probe.send(b"\x01" + self._ours)
            self._probe.send(b"\x00" + self._ours)

    def _settle(self) -> list[bytes]:
        self._asked = False
        gone = [topic for topic in self._doubtful if self._nobody_has(topic)]
        self._doubtful.clear()
        self._held.difference_update(gone)
        return gone

    def _nobody_has(self, topic: bytes) -> bool:
        before = self._sock.getsockopt(_TOPICS_COUNT)
        self._sock.setsockopt(zmq.SUBSCRIBE, topic)
        after = self._sock.getsockopt(_TOPICS_COUNT)
        self._sock.setsockopt(zmq.UNSUBSCRIBE, topic)
        return after != before
