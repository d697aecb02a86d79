"""GATEWAY_HOME: the only folder the gateway writes to. Its secrets, process locks and the tick stream's socket."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StartError
from gateway.settings.checks import SOCKET_PATH_MAX

#: how long a start waits for a dying predecessor's lock, s (operating, "Files and signals")
LOCK_WAIT_SECONDS = 3.0
SECRET_BYTES = 32


class Home:
    """The folder and the names of what is in it. Making one touches nothing; `prepare` does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> Home:
        """Makes the folder with mode 0700 and takes rights from others where it was open. Raises StartError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                self.path.chmod(0o700)
        except OSError as error:
            raise StartError(f"GATEWAY_HOME {self.path} cannot be used: {error.strerror}") from None
        return self

    def secret(self, name: str) -> bytes:
        """The 32 random bytes kept in file `name`; made at the first call, the same for every process.

        Raises StartError where the file is damaged: a silently new secret would void every key.
        """
        file = self.prepare().path / name
        if not file.exists():
            _create_whole(file, secrets.token_bytes(SECRET_BYTES))
        value = file.read_bytes()
        if len(value) != SECRET_BYTES:
            raise StartError(f"{file} is damaged ({len(value)} bytes, {SECRET_BYTES} expected); restore it")
        return value

    def key_secret(self) -> bytes:
        """The secret under which API keys are hashed."""
        return self.secret("api-keys.secret")

    def store_secret(self) -> bytes:
        """The secret under which broker credentials are encrypted."""
        return self.secret("credentials.secret")

    @contextmanager
    def lock(self, name: str, wait: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
        """Holds `name`.lock; children do not inherit it. Raises StartError after `wait` s in another's hands."""
        file = self.prepare().path / f"{name}.lock"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _wait_for_lock(descriptor, file, name, wait)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def holder(self, name: str) -> int | None:
        """The process id that holds `name`.lock now, or None where nobody does (0 where it is not known)."""
        file = self.path / f"{name}.lock"
        if not file.exists():
            return None
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid_in(descriptor)
        else:
            return None
        finally:
            os.close(descriptor)

    def tick_stream_to_bind(self) -> str:
        """The default endpoint of the tick stream; a too long path gets a 0700 folder, named in `ticks.path`."""
        self.prepare()
        socket, pointer = self.path / "ticks.sock", self.path / "ticks.path"
        if len(os.fsencode(socket)) <= SOCKET_PATH_MAX:
            pointer.unlink(missing_ok=True)
            return f"ipc://{socket}"
        folder = _private_folder(pointer)
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="gateway-"))
            pointer.unlink(missing_ok=True)
            _create_whole(pointer, f"{folder / 'ticks.sock'}\n".encode())
        return f"ipc://{folder / 'ticks.sock'}"

    def tick_stream_to_connect(self) -> str:
        """The endpoint a running gateway has bound by default. Raises StartError where none has run here."""
        socket, pointer = self.path / "ticks.sock", self.path / "ticks.path"
        if len(os.fsencode(socket)) <= SOCKET_PATH_MAX:
            return f"ipc://{socket}"
        if _private_folder(pointer) is None:
            raise StartError(f"no gateway has run with GATEWAY_HOME {self.path}; start `gateway serve` first")
        return f"ipc://{pointer.read_text().strip()}"


def _create_whole(file: Path, content: bytes) -> None:
    """Puts a file there with its whole content and mode 0600, or leaves the one that another process put first."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def _wait_for_lock(descriptor: int, file: Path, name: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                pid = _pid_in(descriptor) or "unknown"
                raise StartError(
                    f"another {name} process (pid {pid}) runs with this GATEWAY_HOME ({file.parent}); "
                    "stop it, or give this one a GATEWAY_HOME of its own"
                ) from None
            time.sleep(0.02)
        else:
            return


def _pid_in(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _private_folder(pointer: Path) -> Path | None:
    """The folder that `pointer` names, where it is ours alone; a stranger's folder in /tmp is never used."""
    try:
        folder = Path(pointer.read_text().strip()).parent
        status = folder.lstat()
    except OSError:
        return None
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return folder if mine else None
