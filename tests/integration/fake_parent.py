"""Runs the supervisor over one fake child: `python -m tests.integration.fake_parent BEHAVIOUR FOLDER`."""

from __future__ import annotations

import sys

from gateway import children, log
from gateway.supervisor import ChildSpec, Supervisor


def main() -> None:
    """Prints the ready line, exits as the supervisor says."""
    log.configure("INFO", "json")
    spec = ChildSpec("fake", ("-m", "tests.integration.fake_child", *sys.argv[1:]), {"WEBSOCKET_PORT": "4711"})
    sys.exit(Supervisor([spec], lambda urls: print(children.ready_line(urls), flush=True)).run())


if __name__ == "__main__":
    main()
