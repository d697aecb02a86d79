"""Ports held by the parent, so that a restarted child finds its own still free."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping
from types import TracebackType

from gateway.errors import StartError

#: how long a start waits for a dying predecessor's port, s (operating, "Files and signals")
PORT_WAIT_SECONDS = 3.0


class PortReservation:
    """Bound, never listening sockets with SO_REUSEADDR.

    Linux lets a child bind and listen on the same port (asyncio and ZeroMQ set SO_REUSEADDR too), while a
    bind to any free port, or by someone without that option, passes it by.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def take(self, variable: str, host: str, port: int, wait: float = PORT_WAIT_SECONDS) -> int:
        """Reserves `port` (0: any free one) and returns its number. Raises StartError that names `variable`."""
        deadline = time.monotonic() + wait
        while True:
            try:
                return self._bind(host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    reason = error.strerror or str(error)
                    raise StartError(f"{variable} {host}:{port} cannot be listened on: {reason}") from None
                if time.monotonic() >= deadline:
                    raise StartError(
                        f"{variable} is {port}, which another process listens on; stop that one or set another port"
                    ) from None
            time.sleep(0.05)

    def _bind(self, host: str, port: int) -> int:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        holder = socket.socket(family, kind)
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(address)
        except OSError:
            holder.close()
            raise
        self._sockets.append(holder)
        number: int = holder.getsockname()[1]
        return number

    def close(self) -> None:
        """Gives all ports back."""
        for holder in self._sockets:
            holder.close()
        self._sockets.clear()

    def __enter__(self) -> PortReservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def port_problems(ports: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """For each variable whose port cannot be listened on now, why (`gateway check`)."""
    problems = {}
    for variable, (host, port) in ports.items():
        with PortReservation() as reservation:
            try:
                reservation.take(variable, host, port, wait=0)
            except StartError as error:
                problems[variable] = str(error)
    return problems
