"""The child's side of `gateway serve`: dies with its parent, tells it when its ports answer."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping

from gateway.settings.load import PARENT_FD, READY_FD

#: how long a child whose parent is gone may take to stop by itself, s; less than a new start waits for its lock
LAST_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def adopt() -> bool:
    """Binds this process' life to its parent's; True where a parent started it. Call first thing in a child.

    The kernel sends SIGTERM when the parent dies, even by kill -9; a thread also watches a pipe for its end (that
    works where the kernel does not help, and for a parent that died before this call) and ends a process that does
    not stop.
    """
    descriptor = os.environ.pop(PARENT_FD, "")
    if not descriptor.isdigit():
        return False
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    for number in (descriptor, os.environ.get(READY_FD, "")):
        if number.isdigit():
            os.set_inheritable(int(number), False)
    threading.Thread(target=_watch, args=(int(descriptor),), name="parent-watch", daemon=True).start()
    return True


def ready_line(urls: Mapping[str, str]) -> str:
    """The line that scripts wait for, `-` where there is no such port."""
    return "ready " + " ".join(f"{name}={urls.get(name, '-')}" for name in ("ws", "api", "zmq"))


def report_ready(**urls: str) -> None:
    """Tells the parent that the ports answer: `report_ready(ws="ws://127.0.0.1:8765", zmq="tcp://…")`.

    A process that was started alone prints its ready line instead.
    """
    descriptor = os.environ.pop(READY_FD, "")
    if not descriptor.isdigit():
        print(ready_line(urls), flush=True)
        return
    try:
        os.write(int(descriptor), json.dumps(urls).encode() + b"\n")
    except BrokenPipeError:
        return
    finally:
        os.close(int(descriptor))


def _watch(descriptor: int) -> None:
    """Waits for the pipe's end, which comes when the parent is gone."""
    while os.read(descriptor, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(1)
