"""API keys: made here, shown once, kept as HMAC-SHA-256; one indexed look-up tells the owner."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.errors import StoreError
from gateway.model import User
from gateway.store.engine import store_errors
from gateway.store.outbox import NewEvent, append_events, lock_outbox
from gateway.store.tables import ApiKeyRow, CounterRow, UserRow

#: 256 bits
KEY_BYTES = 32
#: a taken-over key must be long enough that guessing it is hopeless; OpenAlgo's have 64 characters
KEY_LENGTH = range(16, 257)
REVOCATIONS = "revocations"
_USER = re.compile(r"[^\s\x00-\x1f/\\]{1,64}")


class KeyInfo(NamedTuple):
    """One key as `gateway keys list` shows it."""

    id: int
    user: str
    ending: str
    created_at: datetime
    revoked_at: datetime | None


#: spelled here because the store's method `list` hides the type inside the class
KeyInfos = list[KeyInfo]
KeyIds = list[int]


class KeyStore:
    """Adds, lists, revokes and verifies API keys. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine, secret: bytes) -> None:
        self._engine = engine
        self._secret = secret

    def verify(self, api_key: str) -> User | None:
        """The owner of an active key, or None. Raises StoreError when the database cannot say."""
        if not api_key or len(api_key) not in KEY_LENGTH:
            return None
        query = (
            select(UserRow.name, ApiKeyRow.id)
            .join(UserRow, UserRow.id == ApiKeyRow.user_id)
            .where(ApiKeyRow.digest == self._digest(api_key), ApiKeyRow.revoked_at.is_(None))
        )
        with store_errors("looking a key up"), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return User(user_id=row.name, key_id=row.id) if row else None

    def knows(self, user: str) -> bool:
        """Whether there is a user of this name. Raises StoreError."""
        with store_errors("looking a user up"), self._engine.connect() as connection:
            return connection.scalar(select(UserRow.id).where(UserRow.name == user)) is not None

    def revoked_since(self, after_id: int) -> tuple[int, KeyIds]:
        """Newest revocation number and the ids of keys revoked after number `after_id`."""
        query = (
            select(ApiKeyRow.id, ApiKeyRow.revocation)
            .where(ApiKeyRow.revocation > after_id)
            .order_by(ApiKeyRow.revocation)
        )
        with store_errors("reading revocations"), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        newest = rows[-1].revocation if rows else None
        return newest or after_id, [row.id for row in rows]

    def last_revocation(self) -> int:
        """The newest revocation number; where a starting gateway begins to watch."""
        with store_errors("reading revocations"), self._engine.connect() as connection:
            return connection.execute(select(func.max(ApiKeyRow.revocation))).scalar_one() or 0

    def add(self, user: str, key: str | None = None) -> str:
        """Gives `user` (made when new) a new random key, or takes over `key`; returns the key.

        Raises StoreError for an unusable name, a weak key, or a key that is in the store already.
        """
        if not _USER.fullmatch(user):
            raise StoreError(f"user {user!r} is no name; it may hold 1 to 64 characters without blanks or slashes")
        key = secrets.token_urlsafe(KEY_BYTES) if key is None else key.strip()
        if len(key) not in KEY_LENGTH or not key.isascii() or not key.isprintable():
            raise StoreError(
                f"the key has {len(key)} characters; it may hold {KEY_LENGTH[0]} to {KEY_LENGTH[-1]}, printable ASCII"
            )
        with store_errors("adding a key"):
            self._insert(user, key)
        return key

    def list(self) -> KeyInfos:
        """All keys, oldest first; revoked ones too."""
        query = (
            select(ApiKeyRow.id, UserRow.name, ApiKeyRow.ending, ApiKeyRow.created_at, ApiKeyRow.revoked_at)
            .join(UserRow, UserRow.id == ApiKeyRow.user_id)
            .order_by(ApiKeyRow.id)
        )
        with store_errors("listing keys"), self._engine.connect() as connection:
            return [KeyInfo(*row) for row in connection.execute(query)]

    def revoke(self, key_id: int) -> bool:
        """Ends a key and its connections; False where it was revoked before. Raises StoreError for an unknown id."""
        with store_errors("revoking a key"), Session(self._engine) as session, session.begin():
            # first of all, as everyone who writes events does
            lock_outbox(session.connection())
            # taking the number next serialises revocations, so a reader never sees a higher one before a lower
            number = _next_number(session)
            row = session.get(ApiKeyRow, key_id)
            if row is None:
                raise StoreError(f"no key has id {key_id}; `gateway keys list` shows them")
            if row.revoked_at is not None:
                return False
            row.revoked_at, row.revocation = datetime.now(UTC), number
            owner = session.get_one(UserRow, row.user_id)
            _tell(session, owner.name, f"API key ending in {row.ending} was revoked", row.revoked_at)
            return True

    def _insert(self, user: str, key: str) -> None:
        """Adds the rows; tried again where another process made the same user in the same moment."""
        for last_try in (False, True):
            try:
                with Session(self._engine) as session, session.begin():
                    lock_outbox(session.connection())
                    digest = self._digest(key)
                    if session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.digest == digest)) is not None:
                        raise StoreError("this key is in the store already; a revoked key cannot be used again")
                    now = datetime.now(UTC)
                    owner = _user_row(session, user, now)
                    session.add(ApiKeyRow(user_id=owner.id, digest=digest, ending=key[-4:], created_at=now))
                    _tell(session, user, f"an API key ending in {key[-4:]} was added", now)
                return
            except IntegrityError:
                if last_try:
                    raise

    def _digest(self, key: str) -> str:
        return hmac.new(self._secret, key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _tell(session: Session, user: str, message: str, now: datetime) -> None:
    """Tells the user that his credentials changed (order-events, `password_change`)."""
    payload = {"user": user, "status": "success", "message": message, "ip_address": "", "user_agent": ""}
    append_events(session.connection(), [NewEvent(user, "password_change", orjson.dumps(payload).decode(), now)])


def _user_row(session: Session, name: str, now: datetime) -> UserRow:
    row = session.scalar(select(UserRow).where(UserRow.name == name))
    if row is None:
        row = UserRow(name=name, created_at=now)
        session.add(row)
        session.flush()
    return row


def _next_number(session: Session) -> int:
    """The next revocation number; the row stays locked until the transaction ends."""
    session.execute(update(CounterRow).where(CounterRow.name == REVOCATIONS).values(value=CounterRow.value + 1))
    return session.scalars(select(CounterRow.value).where(CounterRow.name == REVOCATIONS)).one()
