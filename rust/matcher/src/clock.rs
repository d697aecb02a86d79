//! The two clocks of a tick's arrival.

use gateway_matcher_core::last::Arrival;

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The moment of the call: monotonic ns as `time.monotonic_ns()`, Unix ns as `time.time_ns()`.
pub fn now() -> Arrival {
    Arrival { mono_ns: read(libc::CLOCK_MONOTONIC), unix_ns: read(libc::CLOCK_REALTIME) }
}
