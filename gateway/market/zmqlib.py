"""The libzmq that pyzmq brought along, for code below Python; CURVE for sockets that bind."""

from __future__ import annotations

import ctypes
from typing import Any, Final

import zmq
from gateway_matcher import ZmqSocket
from zmq.backend.cython import _zmq

_FUNCTIONS: Final = (
    "zmq_msg_init",
    "zmq_msg_close",
    "zmq_msg_more",
    "zmq_msg_recv",
    "zmq_msg_data",
    "zmq_msg_size",
    "zmq_send",
    "zmq_errno",
)


def below_python(sock: zmq.Socket[bytes]) -> ZmqSocket:
    """The same socket for Rust. It must not be used after `sock` is closed."""
    # A look-up in pyzmq's extension module also searches the libraries it is linked with.
    library: Any = ctypes.CDLL(_zmq.__file__)
    addresses = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS}
    return ZmqSocket(sock.underlying, addresses)


def demand_curve(sock: zmq.Socket[bytes], keys: tuple[bytes, bytes] | None) -> None:
    """Makes a socket that binds demand CURVE encryption under a public and secret key (Z85); None: it stays open."""
    if keys is not None:
        sock.curve_publickey, sock.curve_secretkey = keys
        sock.curve_server = True


def descriptor(sock: zmq.Socket[bytes]) -> int:
    """The socket's file descriptor, for an event loop. It is edge-triggered: drain until EAGAIN at each wake-up."""
    return int(sock.getsockopt(zmq.FD))


def bound_address(sock: zmq.Socket[bytes]) -> str:
    """The endpoint really bound, with the port that was chosen."""
    endpoint = sock.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()
