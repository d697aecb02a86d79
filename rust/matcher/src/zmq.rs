//! ZeroMQ sockets that Python opened, used below Python.
//!
//! pyzmq brings its own libzmq; the addresses of its functions come from Python, so that there is one
//! library in the process, and the socket is only used on the thread that holds the interpreter.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};

use pyo3::exceptions::{PyKeyError, PyOSError};
use pyo3::prelude::*;

const DONTWAIT: c_int = 1;
const SNDMORE: c_int = 2;

/// `zmq_msg_t`: 64 bytes, opaque (zmq.h).
#[repr(C, align(8))]
struct RawMessage([u8; 64]);

type OfMessage = unsafe extern "C" fn(*mut RawMessage) -> c_int;

#[derive(Clone, Copy)]
struct Functions {
    msg_init: OfMessage,
    msg_close: OfMessage,
    msg_more: OfMessage,
    msg_recv: unsafe extern "C" fn(*mut RawMessage, *mut c_void, c_int) -> c_int,
    msg_data: unsafe extern "C" fn(*mut RawMessage) -> *mut c_void,
    msg_size: unsafe extern "C" fn(*const RawMessage) -> usize,
    send: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
    errno: unsafe extern "C" fn() -> c_int,
}

/// A ZeroMQ socket with the functions of its library.
#[pyclass(frozen, module = "gateway_matcher")]
pub struct ZmqSocket {
    handle: *mut c_void,
    call: Functions,
}

// SAFETY: the handle is only used while the interpreter lock is held, by the thread that runs the event loop.
unsafe impl Send for ZmqSocket {}
// SAFETY: as above.
unsafe impl Sync for ZmqSocket {}

#[pymethods]
impl ZmqSocket {
    /// `handle` is `zmq.Socket.underlying`, `functions` the addresses of libzmq's functions by name.
    #[new]
    fn new(handle: usize, functions: HashMap<String, usize>) -> PyResult<Self> {
        let address = |name: &str| {
            let found = functions.get(name).copied().filter(|address| *address != 0);
            found.ok_or_else(|| PyKeyError::new_err(format!("no address of {name}")))
        };
        // SAFETY: the caller vouches that each address is the function of that name (zmq.h signatures).
        let call = unsafe {
            Functions {
                msg_init: std::mem::transmute::<usize, OfMessage>(address("zmq_msg_init")?),
                msg_close: std::mem::transmute::<usize, OfMessage>(address("zmq_msg_close")?),
                msg_more: std::mem::transmute::<usize, OfMessage>(address("zmq_msg_more")?),
                msg_recv: std::mem::transmute::<
                    usize,
                    unsafe extern "C" fn(*mut RawMessage, *mut c_void, c_int) -> c_int,
                >(address("zmq_msg_recv")?),
                msg_data: std::mem::transmute::<usize, unsafe extern "C" fn(*mut RawMessage) -> *mut c_void>(address(
                    "zmq_msg_data",
                )?),
                msg_size: std::mem::transmute::<usize, unsafe extern "C" fn(*const RawMessage) -> usize>(address(
                    "zmq_msg_size",
                )?),
                send: std::mem::transmute::<
                    usize,
                    unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
                >(address("zmq_send")?),
                errno: std::mem::transmute::<usize, unsafe extern "C" fn() -> c_int>(address("zmq_errno")?),
            }
        };
        Ok(ZmqSocket { handle: handle as *mut c_void, call })
    }
}

/// A received frame.
pub struct Message<'a> {
    raw: RawMessage,
    call: &'a Functions,
}

impl Message<'_> {
    /// The frame's bytes.
    pub fn bytes(&self) -> &[u8] {
        let raw = (&raw const self.raw).cast_mut();
        // SAFETY: the message is initialised; its data lives until it is closed, which needs `&mut self`.
        unsafe {
            let size = (self.call.msg_size)(raw);
            if size == 0 {
                return &[];
            }
            std::slice::from_raw_parts((self.call.msg_data)(raw).cast::<u8>(), size)
        }
    }

    /// True where another frame of the same message follows.
    pub fn more(&self) -> bool {
        // SAFETY: the message is initialised.
        unsafe { (self.call.msg_more)((&raw const self.raw).cast_mut()) != 0 }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised once, closed once.
        unsafe { (self.call.msg_close)(&raw mut self.raw) };
    }
}

impl ZmqSocket {
    /// The next frame, or `None` where there is none now.
    pub fn receive(&self) -> PyResult<Option<Message<'_>>> {
        let mut message = Message { raw: RawMessage([0; 64]), call: &self.call };
        // SAFETY: init before any use.
        unsafe { (self.call.msg_init)(&raw mut message.raw) };
        loop {
            // SAFETY: the message is initialised; the socket is open while Python holds it.
            let got = unsafe { (self.call.msg_recv)(&raw mut message.raw, self.handle, DONTWAIT) };
            if got >= 0 {
                return Ok(Some(message));
            }
            match self.errno() {
                libc::EAGAIN => return Ok(None),
                // A signal came in between. To call it "nothing there" would lose the descriptor's edge.
                libc::EINTR => (),
                other => return Err(PyOSError::new_err((other, "zmq_msg_recv failed"))),
            }
        }
    }

    /// Sends frames as one message; what has no room at a subscriber is dropped by ZeroMQ (XPUB).
    pub fn send(&self, frames: &[&[u8]]) -> PyResult<()> {
        for (at, frame) in frames.iter().enumerate() {
            let flags = if at + 1 < frames.len() { DONTWAIT | SNDMORE } else { DONTWAIT };
            // SAFETY: the frame outlives the call, which copies it.
            while unsafe { (self.call.send)(self.handle, frame.as_ptr().cast(), frame.len(), flags) } < 0 {
                match self.errno() {
                    // Half a message left in the socket would put the next one under this topic.
                    libc::EINTR => (),
                    libc::EAGAIN => return Ok(()),
                    other => return Err(PyOSError::new_err((other, "zmq_send failed"))),
                }
            }
        }
        Ok(())
    }

    fn errno(&self) -> c_int {
        // SAFETY: no arguments, thread-local result.
        unsafe { (self.call.errno)() }
    }
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ZmqSocket>()
}
