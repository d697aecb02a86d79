//! What the tool asks of the operating system: clocks, one CPU, many open files.

use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix time, ns.
pub fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Binds this process to one CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is an empty set, and the calls only read and write `set`.
    let done = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), &set)
    };
    check(done)
}

/// Raises the soft limit of open files to the hard one, so that 10,000 readers fit.
pub fn raise_open_files() -> io::Result<()> {
    // SAFETY: both calls only read and write `limit`.
    let done = unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit)
    };
    check(done)
}

/// Makes the kernel hold as little as it can for a reader that will not read, so that its server notices soon.
pub fn shrink_receive_buffer(stream: &TcpStream) -> io::Result<()> {
    let smallest: libc::c_int = 4_096;
    // SAFETY: the option's value is a c_int, and its address and size are those of `smallest`.
    check(unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const smallest).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
}

/// Lets sleeps end within a microsecond instead of the kernel's usual 50.
pub fn sharpen_sleep() -> io::Result<()> {
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches no memory of ours.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64) })
}

/// Sleeps for a duration; returns at once for zero.
pub fn sleep(duration: Duration) {
    if !duration.is_zero() {
        std::thread::sleep(duration);
    }
}

fn check(done: libc::c_int) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
