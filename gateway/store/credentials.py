"""Broker credentials, encrypted at rest with Fernet under a secret in GATEWAY_HOME."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from gateway.errors import StoreError
from gateway.settings import brokers
from gateway.store.engine import store_errors
from gateway.store.tables import BrokerCredentialRow

#: what may be kept; names as in FeedConfig
FIELDS = tuple(brokers.CREDENTIALS.values())


class CredentialInfo(NamedTuple):
    """One broker as `gateway brokers list` shows it: which fields are there, never what they hold."""

    broker: str
    fields: tuple[str, ...]
    updated_at: datetime


#: spelled here because the store's method `list` hides the type inside the class
CredentialInfos = list[CredentialInfo]


class CredentialStore:
    """Keeps one set of credentials per broker."""

    def __init__(self, engine: Engine, secret: bytes) -> None:
        self._engine = engine
        self._fernet = Fernet(base64.urlsafe_b64encode(secret))

    def get(self, broker: str) -> dict[str, str]:
        """The broker's credentials; empty where none are kept. Raises StoreError."""
        query = select(BrokerCredentialRow.sealed).where(BrokerCredentialRow.broker == broker)
        with store_errors("reading credentials"), self._engine.connect() as connection:
            sealed = connection.execute(query).scalar_one_or_none()
        return {} if sealed is None else self._open(broker, sealed)

    def put(self, broker: str, values: Mapping[str, str]) -> None:
        """Sets the given fields and keeps the others; an empty value removes a field. Raises StoreError."""
        strange = set(values) - set(FIELDS)
        if strange:
            raise StoreError(f"no credential is called {', '.join(sorted(strange))}; known are {', '.join(FIELDS)}")
        with store_errors("writing credentials"), Session(self._engine) as session, session.begin():
            row = session.scalar(
                select(BrokerCredentialRow).where(BrokerCredentialRow.broker == broker).with_for_update()
            )
            if row is None:
                row = BrokerCredentialRow(broker=broker)
                session.add(row)
                kept = {}
            else:
                kept = self._open(broker, row.sealed)
            merged = {name: value for name, value in (kept | dict(values)).items() if value}
            row.sealed = self._fernet.encrypt(json.dumps(merged).encode())
            row.updated_at = datetime.now(UTC)

    def remove(self, broker: str) -> bool:
        """Forgets a broker's credentials; False where there were none."""
        with store_errors("removing credentials"), self._engine.begin() as connection:
            done = connection.execute(delete(BrokerCredentialRow).where(BrokerCredentialRow.broker == broker))
        return done.rowcount > 0

    def list(self) -> CredentialInfos:
        """All brokers with credentials, by name. Raises StoreError."""
        query = select(BrokerCredentialRow).order_by(BrokerCredentialRow.broker)
        with store_errors("listing credentials"), Session(self._engine) as session:
            return [
                CredentialInfo(row.broker, tuple(sorted(self._open(row.broker, row.sealed))), row.updated_at)
                for row in session.scalars(query)
            ]

    def _open(self, broker: str, sealed: bytes) -> dict[str, str]:
        try:
            values: dict[str, str] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise StoreError(
                f"the credentials of {broker} were encrypted under another GATEWAY_HOME's secret; "
                f"add them again with `gateway brokers add {broker}`"
            ) from None
        return values
