"""What happens in one run, drawn from a seed: who says what and when, and what breaks when."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from turnstream.conversation.crashpoints import POINTS

REPLICAS_AT_MOST = 4


class FaultKind(StrEnum):
    """What can break."""

    CRASH_POINT = "crash_point"
    KILL_REPLICA = "kill_replica"
    PAUSE_REPLICA = "pause_replica"
    JOIN = "join"
    LEAVE = "leave"
    KILL_GATEWAY = "kill_gateway"
    PAUSE_GATEWAY = "pause_gateway"
    RESTART_BROKER = "restart_broker"


class Manner(StrEnum):
    """How a client asks. An abandoned message is accepted, and its client never comes back for the answer."""

    SEND = "send"
    STREAM = "stream"
    ABANDON = "abandon"


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """`target` picks among the processes that run then; `lasts_s` is until it is resumed, replaced or started again.

    `point`, as in `conversation.crashpoints`, belongs to CRASH_POINT, and to a PAUSE_REPLICA in the midst of a turn.
    """

    kind: FaultKind
    at_s: float
    target: int = 0
    lasts_s: float = 0.0
    point: str = ""

    def __str__(self) -> str:
        return (
            f"{self.at_s:.1f}s {self.kind}{' ' + self.point if self.point else ''} #{self.target} {self.lasts_s:.1f}s"
        )


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """`pause_s` comes before it. The next message of its conversation is sent once this one is answered, or with
    `is_hurried` once it is accepted. It is sent again `repeats` times after the answer. `gateways` are tried in turn;
    an attempt is given up after `patience_s`."""

    message_id: str
    text: str
    pause_s: float
    manner: Manner
    is_hurried: bool
    repeats: int
    gateways: tuple[int, ...]
    patience_s: float


@dataclass(frozen=True, slots=True)
class PlannedConversation:
    conversation_id: str
    messages: tuple[PlannedMessage, ...]
    reads_from: tuple[int, ...]
    """Gateways that its reader subscribes to, one after the other."""


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    replicas: int
    gateways: int
    conversations: tuple[PlannedConversation, ...]
    faults: tuple[PlannedFault, ...]

    @property
    def breaks_broker(self) -> bool:
        return any(fault.kind is FaultKind.RESTART_BROKER for fault in self.faults)

    def __str__(self) -> str:
        messages = sum(len(conversation.messages) for conversation in self.conversations)
        size = f"{self.replicas} replicas, {self.gateways} gateways, {messages} messages"
        return f"seed {self.seed}: {size}; " + ", ".join(str(fault) for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Odds:
    """How plans are drawn. `session_timeout_s` is what pauses must outlast; times are of the first `busy_s` seconds."""

    session_timeout_s: float = 1.5
    busy_s: float = 4.0
    has_broker: bool = True
    broker_share: float = 0.08
    never_share: float = 0.25


def draw(seed: int, odds: Odds | None = None) -> Plan:
    """The same seed and odds give the same plan."""
    odds = odds or Odds()
    dice = random.Random(seed)
    gateways = dice.choice((1, 2, 2))
    ids = [f"c{n}" for n in range(dice.randint(3, 6))]
    silent = dice.choice(ids) if dice.random() < odds.never_share else ""
    return Plan(
        seed=seed,
        replicas=dice.choice((2, 2, 3)),
        gateways=gateways,
        conversations=tuple(_conversation(dice, name, odds, has_silence=name == silent) for name in ids),
        faults=tuple(sorted(_faults(dice, odds), key=lambda fault: fault.at_s)),
    )


def _faults(dice: random.Random, odds: Odds) -> Sequence[PlannedFault]:
    faults = [_fault(dice, dice.choice(_EVERYDAY), odds) for _ in range(dice.randint(1, 4))]
    if odds.has_broker and dice.random() < odds.broker_share:
        faults.append(_fault(dice, FaultKind.RESTART_BROKER, odds))
    return faults


_EVERYDAY = (
    *(FaultKind.CRASH_POINT, FaultKind.CRASH_POINT, FaultKind.CRASH_POINT),
    *(FaultKind.KILL_REPLICA, FaultKind.PAUSE_REPLICA, FaultKind.JOIN, FaultKind.LEAVE),
    *(FaultKind.KILL_GATEWAY, FaultKind.PAUSE_GATEWAY),
)


def _fault(dice: random.Random, kind: FaultKind, odds: Odds) -> PlannedFault:
    lasts_s = dice.uniform(0.0, 1.5)
    point = ""
    if kind is FaultKind.CRASH_POINT or (kind is FaultKind.PAUSE_REPLICA and dice.random() < 0.7):
        point = _point(dice)
    if kind in (FaultKind.PAUSE_REPLICA, FaultKind.PAUSE_GATEWAY):
        lasts_s = odds.session_timeout_s * dice.uniform(1.2, 2.2)
    return PlannedFault(kind, dice.uniform(0.2, odds.busy_s), dice.randrange(12), lasts_s, point)


def _point(dice: random.Random) -> str:
    """One of them all, or one in the midst of a commit."""
    count = dice.choice((1, 1, 1, 2, 3))
    if dice.random() < 0.3:
        return f"before_commit:{count}+{dice.uniform(0.5, 15.0):.1f}"
    return f"{dice.choice(POINTS)}:{count}"


def _conversation(dice: random.Random, name: str, odds: Odds, *, has_silence: bool) -> PlannedConversation:
    count = dice.randint(4, 11)
    silence_at = dice.randrange(count) if has_silence else -1
    messages = tuple(_message(dice, n, odds.busy_s / count, is_silence=n == silence_at) for n in range(count))
    return PlannedConversation(name, messages, _some_gateways(dice))


def _message(dice: random.Random, number: int, mean_pause_s: float, *, is_silence: bool) -> PlannedMessage:
    text = f"text {number}"
    if is_silence:
        text = f"never {number}"
    elif dice.random() < 0.25:
        text = f"slow {dice.uniform(0.05, 0.8):.2f} {number}"
    manner = dice.choices(tuple(Manner), (4, 5, 1))[0]
    return PlannedMessage(
        message_id=f"m{number}",
        text=text,
        pause_s=dice.uniform(0.0, 2 * mean_pause_s),
        manner=manner,
        is_hurried=manner is Manner.STREAM and dice.random() < 0.5,
        repeats=dice.choice((0, 0, 1, 2)),
        gateways=_some_gateways(dice),
        patience_s=dice.uniform(1.0, 4.0),
    )


def _some_gateways(dice: random.Random) -> tuple[int, ...]:
    return tuple(dice.randrange(12) for _ in range(8))
