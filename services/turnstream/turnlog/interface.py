"""The turn log: what it promises, as one interface for each role.

Two logs, both keyed by conversation and divided into partitions: the **inbox** holds what clients asked for, the
**turns** hold what became of it. Every implementation promises the same, and `testing.turnlog_contract` holds it to it:

1. Accepted is durable: a message survives the loss of any process once `accept` has returned.
2. One at a time, in order, within a conversation; concurrently across conversations, on any number of workers.
3. A turn's events, replies and inbox progress become visible together or not at all, exactly once.
4. A worker that lost a partition cannot commit to it.
5. Nothing is delivered twice to one owner of a partition; what was accepted and not answered is delivered to the next.

Records are `turnlog.proto`. An implementation may gather concurrent calls into one transaction.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord

INBOX_FORMAT_VERSION = 1
TURN_FORMAT_VERSION = 1

MAX_AGENDA_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the inbox or in the turns. Offsets grow within a partition; they need not be consecutive."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Where the message stands in the inbox.

    `duplicate` means that the same id was accepted before: `position` is that of the first, and no second turn will
    happen. A log that cannot tell at this moment answers False and drops the duplicate on delivery instead.
    """

    position: Position
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to answer a partition's messages. A higher epoch of the same partition has replaced this one."""

    partition: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to answer, under the lease that its turn must be committed with."""

    lease: Lease
    position: Position
    message: InboxMessage


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record that this version cannot read: damaged, or of a later format. It stays in the log as it is.

    `log` is `inbox` or `turns`; the ids are empty where they could not be read either.
    """

    log: str
    position: Position
    reason: str
    conversation_id: str = ""
    message_id: str = ""

    def __str__(self) -> str:
        where = f"{self.log} record at partition {self.position.partition} offset {self.position.offset}"
        return f"{where} (conversation '{self.conversation_id}', message '{self.message_id}'): {self.reason}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation's state after `turn_number` turns, opaque to the log."""

    turn_number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ConversationState:
    """What a worker needs to go on with a conversation: the newest snapshot, and the turns committed after it.

    `last_turn` is the number of the last committed turn, 0 for a new conversation; the next commit is `last_turn + 1`.
    `agenda` is known to the owner of the partition only; empty where there is none.
    """

    last_turn: int
    turns: tuple[TurnRecord, ...] = ()
    snapshot: Snapshot | None = None
    undecodable: tuple[Undecodable, ...] = ()
    agenda: bytes = b""


RecordT = TypeVar("RecordT", InboxMessage, TurnRecord)


@dataclass(frozen=True, slots=True)
class Entry(Generic[RecordT]):
    """A record with its place."""

    position: Position
    record: RecordT


class Inbox(Protocol):
    """For gateways: putting a message where it cannot be lost."""

    async def accept(self, message: InboxMessage) -> Accepted:
        """Append a message; it is durable when this returns.

        `conversation_id`, `message_id` and a request must be set (ValueError). The same pair of ids again is the same
        message, whatever it says: it has one turn, which `TurnReader.wait_for` finds.
        Raises InboxFull where too much is waiting (in all, or in this conversation), MessageTooLarge, LogClosed.
        """
        ...


class TurnReader(Protocol):
    """For gateways: what became of a message. Only committed turns are ever seen."""

    async def wait_for(self, conversation_id: str, message_id: str, timeout_s: float) -> TurnRecord:
        """The committed turn that answers this message, at once where it is there already, however long ago.

        Raises Unfinished after `timeout_s` seconds, Erased where the turn was deleted with its conversation,
        UndecodableRecord where it is there and cannot be read.
        """
        ...

    def turns(self, conversation_id: str, from_turn: int = 1) -> AsyncIterator[TurnRecord]:
        """The conversation's turns from this number on: past ones, then live ones as they are committed, without end.

        In order, none missed, none twice. Close the iterator (or cancel its task) to stop.
        """
        ...


class Assignee(Protocol):
    """A worker, as the log calls it. Calls for one partition never overlap."""

    async def claimed(self, lease: Lease) -> None:
        """The partition is this worker's from now on; its unanswered messages follow, oldest first."""
        ...

    async def revoked(self, lease: Lease) -> None:
        """The partition goes to another worker, or has gone already.

        Handed over in peace, it stays this worker's until this returns: turns in flight may be committed or dropped.
        Where it was lost before, their commits raise Fenced.
        """
        ...

    async def deliver(self, delivery: Delivery) -> None:
        """Take a message; returning means it was taken, not that it was answered.

        Waiting here is back-pressure: no further message is delivered until it returns.
        Messages of one conversation come in the order in which they were accepted.
        """
        ...

    async def undecodable(self, record: Undecodable) -> None:
        """An inbox record that cannot be read was passed over; it stays in the inbox unanswered."""
        ...


class TurnWriter(Protocol):
    """For conversation workers: a share of the partitions, and the commits of turns."""

    async def work(self, assignee: Assignee, address: str = "") -> None:
        """Join the workers of this log and serve `assignee` until `leave`, or until cancelled.

        Partitions are shared among the workers. A dead worker's partitions are claimed by others soon.
        `address` (`host:port`) is where this worker answers gRPC calls; `LogReader.owner_of` tells it to the others.
        """
        ...

    async def leave(self) -> None:
        """Stop delivering, wait for `revoked` of every partition, hand them over, and let `work` return.

        Does nothing where `work` is not running.
        """
        ...

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState:
        """The state of a conversation as committed; of one in a claimed partition it costs least.

        `from_turn`: the turns from this number on, whatever the snapshot holds, and no snapshot.
        """
        ...

    async def agendas(self, lease: Lease) -> Mapping[str, bytes]:
        """What the conversations of a claimed partition are to do of their own accord, by conversation, as committed.

        Those without an agenda are left out; those that have been idle for long are not. It costs what is on the
        agendas, however much was ever said. Raises Fenced where the lease is no longer the partition's.
        """
        ...

    async def put(self, message: InboxMessage) -> None:
        """Append a message of the worker's own, such as a reminder that is due; it is durable when this returns.

        As `Inbox.accept`, but that no room is asked for: what is on the agendas is bounded.
        Raises ValueError, MessageTooLarge, LogClosed.
        """
        ...

    async def commit(
        self, lease: Lease, record: TurnRecord, snapshot: Snapshot | None = None, agenda: bytes | None = None
    ) -> Position:
        """Commit one turn: its record and the progress of the inbox become durable and visible together.

        `agenda` replaces that of the conversation, in the same transaction; empty bytes take it away, None leaves it.

        The record names the message that it answers (`message_id`, `inbox_partition`, `inbox_offset`) and the turn's
        number. Turns that finish together are committed together, and still fail each on their own.
        A record that answers an Erasure message (its events hold a ConversationErased) takes the conversation's
        earlier records and its agenda out of the log in the same transaction.
        Raises Fenced where the lease is no longer the partition's, OutOfOrder where the number is not the next one or
        the message has its turn already, TurnTooLarge (an agenda has `MAX_AGENDA_BYTES` at most); nothing of the turn
        was committed then.
        """
        ...


class LogReader(Protocol):
    """For replay, export and checks: everything that is in the log, by place."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; fixed when the log is created."""
        ...

    def partition_of(self, conversation_id: str) -> int:
        """The partition that a conversation is kept in; the same in every process and for ever."""
        ...

    async def owner_of(self, partition: int) -> str | None:
        """Where the worker that answers this partition now can be asked, as it told with `work`.

        None where nobody answers it at this moment, or its worker told no address. It may be a moment out of date:
        whoever is asked must know by itself whether the partition is its own.
        """
        ...

    def read_inbox(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[InboxMessage] | Undecodable]:
        """All messages accepted up to now, in order within each partition; of one partition where one is named."""
        ...

    def read_turns(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
        """All turns committed up to now, in order within each partition; of one partition where one is named."""
        ...


class TurnLog(Inbox, TurnReader, TurnWriter, LogReader, Protocol):
    """All roles in one object. A process uses the role that it has."""

    @property
    def joined(self) -> bool:
        """Whether `work` takes part: partitions come to this worker, if only later."""
        ...

    async def trouble(self) -> str:
        """What keeps the log from being used now, for people; empty where nothing does. Takes seconds at most."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the log; what waits gets LogClosed."""
        ...
