"""A stand-in for the market process, to test its parent: `python -m tests.integration.fake_child BEHAVIOUR FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from gateway import children


def main() -> None:
    """Notes its process id in FOLDER, reports readiness, and behaves."""
    behaviour, folder = sys.argv[1], Path(sys.argv[2])
    if behaviour == "wrong-settings":
        sys.exit(2)
    if behaviour == "never-starts":
        with (folder / "starts").open("a") as starts:
            starts.write("x")
        sys.exit(1)
    assert children.adopt()
    assert "GATEWAY_PARENT_FD" not in os.environ
    signal.signal(signal.SIGHUP, lambda *_: (folder / "hangup").touch())
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("noise on standard output", flush=True)
    (folder / f"pid-{time.monotonic_ns()}").write_text(str(os.getpid()))
    children.report_ready(ws=f"ws://127.0.0.1:{os.environ.get('WEBSOCKET_PORT', '1')}", zmq="tcp://127.0.0.1:2")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
