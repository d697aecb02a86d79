# cython: freethreading_compatible = False
"""One connection's listener, and the loop that hands every connection its frames in one write per turn."""

from libc.time cimport time_t

from cpython.bytearray cimport PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport, WSCloseCode, WSCloseHandshake


cdef extern from "<time.h>" nogil:
    ctypedef int clockid_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(clockid_t clock, timespec* when)
    clockid_t CLOCK_MONOTONIC


cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int descriptor, const void* data, size_t size, int flags)
    int MSG_DONTWAIT
    int MSG_NOSIGNAL


cdef inline long long monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <long long>now.tv_sec * 1000000000 + now.tv_nsec


cdef class Listener(WSListener):
    """Carries frames between one connection and its handler.

    The handler gets `on_open(listener)`, `on_message(bytes)`, `on_pause()`, `on_resume()`,
    `on_close_frame(code)` and `on_lost()`.
    """

    def __init__(self, handler, Py_ssize_t max_message):
        self.handler = handler
        self._max_message = max_message
        self._parts = None
        self.writable = False
        self.paused = False
        self.last_seen_ns = monotonic_ns()

    cpdef on_ws_connected(self, WSTransport transport):
        under = transport.underlying_transport
        self.transport = transport
        # aiofastnet keeps a reference to bytes it cannot send yet, so readers share one buffer.
        self._write = getattr(under, "write_nocheck", under.write)
        self._buffered = under.get_write_buffer_size
        self._descriptor = -1 if transport.is_secure else under.get_extra_info("socket").fileno()
        self.writable = True
        self.last_seen_ns = monotonic_ns()
        self.handler.on_open(self)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef WSMsgType kind = frame.msg_type
        self.last_seen_ns = monotonic_ns()
        if kind == WSMsgType.TEXT or kind == WSMsgType.BINARY or kind == WSMsgType.CONTINUATION:
            # picows closes on a frame that is too big, and hands it over all the same once it is complete.
            if self.writable and not transport.is_close_frame_sent:
                self._message(frame.get_payload_as_bytes(), frame.fin)
        elif kind == WSMsgType.PING:
            self._pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._closed_by_peer(<int>frame.get_close_code())

    cdef _put(self, bytes data):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data), sent
        if self._descriptor >= 0 and not <Py_ssize_t>self._buffered():
            # Nothing waits in the transport, so its own way to the socket can be cut short. What does not fit now
            # and every error is the transport's business.
            sent = send(self._descriptor, PyBytes_AS_STRING(data), <size_t>size, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent == size:
                return
            if sent > 0:
                data = data[sent:]
        self._write(data)

    cdef _pong(self, bytes payload):
        # Who does not read gets no pongs: they would pile up as fast as it can send pings.
        if self.writable and not self.paused:
            self.transport.send_pong(payload)

    cdef _closed_by_peer(self, int code):
        # picows leaves the answer to a close frame to us; 0 is "no code was given" and must not be sent.
        self.handler.on_close_frame(code)
        self.send_close(code if code else 1000, b"")
        self.writable = False
        self.transport.disconnect(True)

    cdef _message(self, bytes payload, bint fin):
        # picows hands out frames; a message may come in several.
        if self._parts is None:
            if fin:
                self.handler.on_message(payload)
            else:
                self._parts = bytearray(payload)
            return
        if PyByteArray_GET_SIZE(self._parts) + len(payload) > self._max_message:
            self._parts = None
            self.handler.on_oversize()
            return
        self._parts += payload
        if fin:
            whole = bytes(self._parts)
            self._parts = None
            self.handler.on_message(whole)

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.writable = False
        self._write = None
        self._buffered = None
        self.handler.on_lost()

    cpdef pause_writing(self):
        self.paused = True
        self.handler.on_pause()

    cpdef resume_writing(self):
        self.paused = False
        self.handler.on_resume()

    cpdef write(self, bytes data):
        """Writes ready-made WebSocket frames. Nothing goes out after a close frame."""
        if self.writable:
            self._write(data)

    cpdef send_text(self, bytes message):
        """Sends one text frame."""
        if self.writable:
            self.transport.send(WSMsgType.TEXT, message)

    cpdef Py_ssize_t buffered(self) except -1:
        """Bytes that wait in this process for the reader."""
        return self._buffered() if self._buffered is not None else 0

    def ping(self):
        """Sends a ping; any frame that comes back counts as the answer."""
        if self.writable:
            self.transport.send_ping()

    cpdef send_close(self, int code, bytes reason):
        """Sends a close frame; no data follows it."""
        if self.writable:
            self.writable = False
            self.transport.send_close(<WSCloseCode>code, reason)

    def sent_code(self):
        """The code of the close frame that went out, picows' own for broken frames included; 0 for none."""
        cdef WSCloseHandshake handshake = self.transport.close_handshake
        return <int>handshake.sent.code if handshake is not None and handshake.sent is not None else 0

    def disconnect(self, bint graceful):
        """Closes the socket, after what is buffered when graceful."""
        if self.transport is not None:
            self.transport.disconnect(graceful)


cpdef Py_ssize_t fan_out(list batches) except -1:
    """Writes `[listener, frames, listener, frames, …]`; returns the number of writes.

    A connection whose write fails is disconnected; the others get theirs.
    """
    cdef Py_ssize_t at, size = len(batches), writes = 0
    cdef Listener listener
    for at in range(0, size, 2):
        listener = <Listener>batches[at]
        # picows closes on broken frames by itself: nothing may follow that close frame either.
        if listener.writable and not listener.transport.is_close_frame_sent:
            try:
                listener._put(<bytes>batches[at + 1])
                writes += 1
            except Exception:
                listener.disconnect(False)
    return writes
