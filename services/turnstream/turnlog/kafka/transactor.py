"""Turns that finish together are committed together, in one Kafka transaction. Blocking; one thread at a time."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka.structs import OffsetAndMetadata, TopicPartition

from turnstream.turnlog.interface import Lease, Snapshot
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.archive import with_entries
from turnstream.turnlog.kafka.clients import close_producer, open_producer
from turnstream.turnlog.kafka.index import ConversationIndex, digest_of, segment_value
from turnstream.turnlog.kafka.records import (
    AGENDA,
    HEAD,
    INDEX,
    PROGRESS_KEY,
    SNAPSHOT,
    Progress,
    bucket_key,
    encode_agenda,
    encode_bucket_place,
    encode_progress,
    encode_snapshot,
    inbox_key,
    message_header,
    note_of,
    segment_key,
    turn_key,
)
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

logger = logging.getLogger(__name__)

MembershipOf = Callable[[Collection[Lease]], Any]


class OutcomeUnknown(Exception):
    """A transaction was to be committed, and nobody said that it was: read what is committed before going on."""


@dataclass(frozen=True, slots=True)
class Erasing:
    """What a turn takes out of the log: the numbers of turns and the ids of messages."""

    turn_numbers: tuple[int, ...] = ()
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """`index` is the conversation's, before this turn; `committed_s` is Unix time; no `agenda` leaves it as it is."""

    partition: int
    conversation_id: str
    message_id: str
    turn_number: int
    data: bytes
    index: ConversationIndex
    snapshot: Snapshot | None = None
    erasing: Erasing | None = None
    committed_s: int = 0
    agenda: bytes | None = None


@dataclass(frozen=True, slots=True)
class PlannedPlaces:
    """What gateways are told of where turns stand: `key` and `value` of a record of the places topic."""

    partition: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class PlannedArchiving:
    """Conversations that leave the state, all of one bucket. `before` is what stands in that bucket now."""

    partition: int
    bucket: int
    before: bytes
    indexes: Mapping[bytes, ConversationIndex]


@dataclass(frozen=True, slots=True)
class Plan:
    """One transaction. `progress` is that of each partition after it, `leases` are those that it is made under."""

    turns: Sequence[PlannedTurn]
    places: Sequence[PlannedPlaces]
    progress: Mapping[int, Progress]
    leases: frozenset[Lease]
    archiving: PlannedArchiving | None = None


@dataclass(slots=True)
class Outcome:
    """What a transaction wrote.

    The place of each turn, and each conversation's index after it with the numbers of the earlier segments that were
    written; and where the bucket stands.
    """

    offsets: list[int] = field(default_factory=list)
    indexes: list[tuple[ConversationIndex, Sequence[int]]] = field(default_factory=list)
    bucket_offset: int = -1


_FLUSH_TIMEOUT_S = 15.0
"""Longer than a transaction lives. kafka-python loses sight of batches when another one of theirs expires, and waits
for them without end."""


class Transactor:
    """The transactional producer of one worker. After an error it is ready for another transaction."""

    def __init__(self, settings: KafkaSettings, name: str, metadata: MembershipOf) -> None:
        """`name` is the transactional id; `metadata` gives the membership that the broker checks a commit against.

        It raises where leases are not held any more.
        """
        self._settings = settings
        self._name = name
        self._metadata = metadata
        self._producer: Any = None

    def commit(self, plan: Plan) -> Outcome:
        """Commit all of it. Raises OutcomeUnknown where it may be committed all the same, KafkaError where not."""
        with metrics.TRANSACTION_SECONDS.time():
            outcome = self._commit(plan)
        if plan.turns:
            metrics.TRANSACTION_TURNS.observe(len(plan.turns))
        return outcome

    def _commit(self, plan: Plan) -> Outcome:
        producer = self._ready()
        try:
            producer.begin_transaction()
            outcome = self._write(producer, plan)
            producer.send_offsets_to_transaction(
                {
                    TopicPartition(self._settings.inbox, partition): OffsetAndMetadata(
                        progress.low, note_of(progress), -1
                    )
                    for partition, progress in plan.progress.items()
                },
                self._metadata(plan.leases),
            )
        except BaseException:
            self._recover()
            raise
        try:
            producer.commit_transaction()
        except Exception as error:
            self._recover()
            raise OutcomeUnknown(f"the end of a transaction is not known: {error!r}") from error
        return outcome

    def open(self) -> None:
        """Make the producer now, so that the first turn need not wait for it. Raises kafka.errors.KafkaError."""
        self._ready()

    def close(self, timeout_s: float = 1.0) -> None:
        if self._producer is not None:
            close_producer(self._producer, timeout_s)
            self._producer = None

    def _ready(self) -> Any:
        if self._producer is None:
            producer = open_producer(
                producer_config(self._settings)
                | {
                    "transactional_id": self._name,
                    "transaction_timeout_ms": round(self._settings.transaction_timeout_s * 1000),
                    # With more, a transaction waits for the markers of the one before it: 108 ms instead of 8.
                    "retry_backoff_ms": 2,
                    "max_block_ms": 10_000,
                    "request_timeout_ms": 10_000,
                    "delivery_timeout_ms": 10_000,
                }
            )
            try:
                producer.init_transactions()
            except BaseException:
                close_producer(producer, 0.0)
                raise
            self._producer = producer
        return self._producer

    def _recover(self) -> None:
        try:
            self._producer.abort_transaction()
        except Exception:
            # Fenced, or in no state to abort: the coordinator ends the transaction when the next producer begins.
            close_producer(self._producer, 0.0)
            self._producer = None

    def _write(self, producer: Any, plan: Plan) -> Outcome:
        """Progress and turns first, and on the broker before the offsets are sent.

        So a transaction that the group's coordinator let pass is to be seen, as open, in the state topic by whoever
        takes a partition over: it waits for its end and misses nothing.
        """
        settings = self._settings
        for tp in _written(settings, plan):
            # All in one request: the producer would ask for each topic when it comes to it.
            producer._transaction_manager.maybe_add_partition_to_transaction(tp)
        for partition, progress in plan.progress.items():
            producer.send(settings.state, encode_progress(progress), PROGRESS_KEY, partition=partition)
        for places in plan.places:
            producer.send(settings.places, places.value, places.key, partition=places.partition)
        sent = [self._send_turn(producer, turn) for turn in plan.turns]
        snapshots = [self._send_snapshot(producer, turn) for turn in plan.turns]
        producer.flush(timeout=_FLUSH_TIMEOUT_S)
        outcome = Outcome([_offset(future) for future in sent])
        for turn, offset, snapshot in zip(plan.turns, outcome.offsets, snapshots, strict=True):
            outcome.indexes.append(self._send_index(producer, turn, offset, snapshot and _offset(snapshot)))
        if plan.archiving is not None:
            outcome.bucket_offset = self._archive(producer, plan.archiving)
        return outcome

    def _send_turn(self, producer: Any, turn: PlannedTurn) -> Any:
        settings = self._settings
        conversation_id = turn.conversation_id
        if turn.erasing is not None:
            for number in turn.erasing.turn_numbers:
                producer.send(settings.turns, None, turn_key(conversation_id, number), partition=turn.partition)
            for message_id in turn.erasing.message_ids:
                producer.send(settings.inbox, None, inbox_key(conversation_id, message_id), partition=turn.partition)
        return producer.send(
            settings.turns,
            turn.data,
            turn_key(conversation_id, turn.turn_number),
            headers=message_header(turn.message_id),
            partition=turn.partition,
        )

    def _send_snapshot(self, producer: Any, turn: PlannedTurn) -> Any:
        """None where nothing is sent whose place must be known."""
        archive, key = self._settings.archive, SNAPSHOT + turn.conversation_id.encode()
        if turn.snapshot is not None:
            return producer.send(archive, encode_snapshot(turn.snapshot), key, partition=turn.partition)
        if turn.erasing is not None:
            producer.send(archive, None, key, partition=turn.partition)
        return None

    def _send_index(
        self, producer: Any, turn: PlannedTurn, offset: int, snapshot_offset: int | None
    ) -> tuple[ConversationIndex, Sequence[int]]:
        conversation, before = turn.conversation_id.encode(), turn.index
        known = 0 if turn.erasing is not None or before.is_archived else len(before.segments)
        if turn.erasing is not None:
            before = before.erased()
        after = before.extended(turn.message_id, offset, turn.committed_s)
        if turn.snapshot is not None and snapshot_offset is not None:
            after = after.with_snapshot(turn.snapshot.turn_number, snapshot_offset)
        written = range(known, len(after.segments))
        state, partition = self._settings.state, turn.partition
        for number in written:
            value = segment_value(after.segments[number])
            producer.send(state, value, segment_key(conversation, number), partition=partition)
        producer.send(state, after.head(), HEAD + conversation, partition=partition)
        if turn.agenda is not None:
            producer.send(state, encode_agenda(turn.agenda), AGENDA + conversation, partition=partition)
        return after, written

    def _archive(self, producer: Any, archiving: PlannedArchiving) -> int:
        """Where the bucket stands after it."""
        settings, partition = self._settings, archiving.partition
        sent = {
            conversation: producer.send(settings.archive, index.whole(), INDEX + conversation, partition=partition)
            for conversation, index in archiving.indexes.items()
        }
        producer.flush(timeout=_FLUSH_TIMEOUT_S)
        places = {digest_of(conversation.decode()): _offset(future) for conversation, future in sent.items()}
        bucket = with_entries(archiving.before, places)
        key = bucket_key(archiving.bucket)
        offset = _offset(producer.send(settings.archive, bucket, key, partition=partition))
        producer.send(settings.state, encode_bucket_place(offset), key, partition=partition)
        for conversation, index in archiving.indexes.items():
            producer.send(settings.state, None, HEAD + conversation, partition=partition)
            for number in range(len(index.segments)):
                producer.send(settings.state, None, segment_key(conversation, number), partition=partition)
        return offset


def _written(settings: KafkaSettings, plan: Plan) -> list[TopicPartition]:
    """The partitions that nearly every transaction of this kind writes to."""
    return [
        *(TopicPartition(settings.state, partition) for partition in plan.progress),
        *(TopicPartition(settings.turns, partition) for partition in {turn.partition for turn in plan.turns}),
        *(TopicPartition(settings.places, partition) for partition in {p.partition for p in plan.places}),
        *(TopicPartition(settings.archive, turn.partition) for turn in plan.turns if turn.snapshot is not None),
    ]


def _offset(sent: Any) -> int:
    return int(sent.get(timeout=30).offset)
