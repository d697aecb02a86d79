"""Orders from another system: commands of a Kafka topic, each executed once (order-events, "Inbound").

The message's `event_id` is kept with the order in one transaction, as an `Idempotency-Key` is; offsets are committed
afterwards. So a command whose offset was not committed in time comes again and is found done.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway import log as logs
from gateway.errors import GatewayError
from gateway.trade.core.errors import OrderError
from gateway.trade.ports import TradeService
from publishers.base import TransportDownError
from publishers.inbound_command import Command, MalformedError, OnceCommand, command_of
from publishers.kafka_client import end, options, quiet, said, within

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from gateway.config import Settings

log = logs.get(__name__)
#: messages taken at once; their offsets are committed together
_TAKE: Final = 100
_POLL_MS: Final = 1_000
#: pause before Kafka or a database that is away is tried again, s
_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_STOP_S: Final = 1.5

#: whether a user of this name is known
Known = Callable[[str], Awaitable[bool]]
#: tells user, endpoint, fields and reason of a refusal that the trade service has not told itself
Reject = Callable[[str, str, Mapping[str, Any], str], Awaitable[None]]


class Inbound:
    """Reads KAFKA_ESB_EVENTS_TOPIC and performs its commands, one after the other.

    `counts` has `executed`, `rejected`, `repeated`, `malformed`, `unknown_user` and `failed`.
    """

    def __init__(self, settings: Settings, service: TradeService, known: Known, reject: Reject) -> None:
        quiet()
        self._settings = settings
        self._service, self._known, self._reject = service, known, reject
        self._task: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        #: whether a broker is being read from
        self.connected = False
        #: whether our place in the topic is known to the broker: what comes from now on is not missed
        self.anchored = False

    async def start(self) -> None:
        """Begins to read; a Kafka that is away is waited for in the background."""
        self._task = asyncio.create_task(self._run(), name="kafka inbound")

    async def stop(self) -> None:
        """Ends within some 2 s. A command that was cut off is found done, or done, after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=_STOP_S + 1)

    async def _run(self) -> None:
        tries = 0
        while True:
            try:
                await self._session()
            except (KafkaError, TransportDownError, OSError) as error:
                logs.limited(log, "inbound away", 0.1).warning("kafka inbound is away", reason=said(error))
            except Exception:
                logs.limited(log, "inbound failed", 0.1).exception("kafka inbound failed")
            tries = 0 if self.connected else tries + 1
            self.connected = False
            await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])

    async def _session(self) -> None:
        """One consumer from its start to its first failure."""
        consumer = AIOKafkaConsumer(
            self._settings.kafka_esb_events_topic,
            **options(self._settings),
            group_id=self._settings.kafka_consumer_group,
            auto_offset_reset="latest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
        )
        try:
            await within(self._settings.kafka_producer_request_timeout_ms / 1000, "connecting", consumer.start())
            self.connected = True
            log.info("kafka inbound connected", topic=self._settings.kafka_esb_events_topic)
            await self._read(consumer)
        finally:
            await end(consumer, _STOP_S)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        anchored: set[TopicPartition] = set()
        while True:
            anchored = await _anchor(consumer, anchored)
            self.anchored = bool(anchored)
            for partition, messages in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_TAKE)).items():
                for message in messages:
                    await self._take(message)
                # after a rebalance it may be another reader's; that one finds the commands done
                if partition in consumer.assignment():
                    await consumer.commit({partition: messages[-1].offset + 1})

    async def _take(self, message: ConsumerRecord[bytes, bytes]) -> None:
        try:
            command = command_of(message.value or b"")
        except MalformedError as error:
            self._count("malformed", message, str(error))
            return
        tries = 0
        while True:
            try:
                await self._once(command, message)
                return
            except OrderError:
                raise
            except GatewayError as error:
                # the database is away or full: nothing was changed, and no other command may overtake this one
                logs.limited(log, "inbound waits", 0.1).warning("kafka inbound waits", reason=str(error))
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1

    async def _once(self, command: Command, message: ConsumerRecord[bytes, bytes]) -> None:
        """Performs it unless it was. Raises GatewayError where nothing was changed and trying again makes sense."""
        if not await self._known(command.user_id):
            self._count("unknown_user", message, f"user_id is {command.user_id!r}; no such user is known here")
            return
        once = OnceCommand(command)
        if await self._service.kept(command.user_id, once.key) is not None:
            self.counts["repeated"] += 1
            return
        try:
            await self._service.call(command.user_id, command.endpoint, command.fields, once=once)
            self.counts["executed"] += 1
        except OrderError as error:
            self.counts["rejected"] += 1
            if not once.asked:
                # refused before it came to the books, so nobody was told
                await self._reject(command.user_id, command.endpoint, command.fields, error.message)
        except GatewayError:
            raise
        except Exception:
            self.counts["failed"] += 1
            log.exception("inbound command failed", offset=message.offset, endpoint=command.endpoint)
            await self._reject(command.user_id, command.endpoint, command.fields, "internal error")

    def _count(self, what: str, message: ConsumerRecord[bytes, bytes], reason: str) -> None:
        self.counts[what] += 1
        # never the message itself: it may hold anything
        logs.limited(log, f"inbound {what}", 1.0).warning(
            "inbound command skipped", why=what, reason=reason, partition=message.partition, offset=message.offset
        )


async def _anchor(consumer: AIOKafkaConsumer, anchored: set[TopicPartition]) -> set[TopicPartition]:
    """Commits the place of partitions without one; gives the partitions that have one.

    A group without a committed place begins at the end each time; what came while we were away would be lost.
    """
    assigned = set(consumer.assignment())
    for partition in assigned - anchored:
        if await consumer.committed(partition) is None:
            await consumer.commit({partition: await consumer.position(partition)})
    return assigned
