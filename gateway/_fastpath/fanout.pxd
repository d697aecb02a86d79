from picows.picows cimport WSListener, WSTransport, WSFrame


cdef class Listener(WSListener):
    cdef readonly WSTransport transport
    cdef readonly object handler
    cdef readonly bint writable
    cdef readonly bint paused
    cdef public long long last_seen_ns
    cdef object _write
    cdef object _buffered
    cdef int _descriptor
    cdef bytearray _parts
    cdef Py_ssize_t _max_message

    cpdef write(self, bytes data)
    cpdef send_text(self, bytes message)
    cpdef Py_ssize_t buffered(self) except -1
    cpdef send_close(self, int code, bytes reason)
    cdef _closed_by_peer(self, int code)
    cdef _put(self, bytes data)
    cdef _pong(self, bytes payload)
    cdef _message(self, bytes payload, bint fin)


cpdef Py_ssize_t fan_out(list batches) except -1
