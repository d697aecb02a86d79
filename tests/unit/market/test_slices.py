"""The kernel is asked for short slices, in a process of its own, and says that it has taken them."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import ctypes, os, platform
from gateway.market import slices
taken = slices.ask_for_short_slices()
attr = ctypes.create_string_buffer(slices._ATTR.size)
number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
assert ctypes.CDLL(None).syscall(number, 0, attr, slices._ATTR.size, 0) == 0
found = slices._ATTR.unpack(attr.raw)
print(taken, found[1] == os.SCHED_OTHER, found[3], found[5])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux'")
@pytest.mark.parametrize("nice", [0, 5])
def test_the_kernel_takes_it_and_niceness_stays(nice: int) -> None:
    command = ["nice", "-n", str(nice), sys.executable, "-c", ASK]
    taken, policy, niceness, length = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert (taken, policy) == ("True", "True")
    assert int(niceness) >= nice
    # kernels before 6.12 say nothing of a slice of their own
    assert int(length) in (0, 100_000)
