"""All conversations of a log at a glance: one short summary each, the newest first."""

import base64
import binascii
import json
from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.proto import timestamp_from_proto
from turnstream.inspector.flags import flags_of, names_of
from turnstream.inspector.turns import user_text
from turnstream.turnlog.records import erases

MOST_SUMMARIES = 200_000
"""Of more conversations those that have been silent for longest are left out."""
SURPLUS = 1.05
"""How many more there may be until they are thrown out, which costs a sort."""
MOST_OF_A_TEXT = 120
MOST_OF_TEXTS = 240
"""Characters of what the user said that are kept, and searched: the latest."""
MOST_REPAIRS = 200
"""More changes than that and sorting anew costs less."""


class Summary(NamedTuple):
    """`last_at` is in seconds since the epoch; `flags` are bits.

    `searched` is what words are looked for in: the id, and the user's latest texts, one a line, case-folded.
    """

    last_at: float
    conversation_id: str
    turns: int
    last_text: str
    searched: str
    flags: int
    bundle_version: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.conversation_id,
            "turns": self.turns,
            "last_at": datetime.fromtimestamp(self.last_at, UTC).isoformat(timespec="milliseconds"),
            "last_text": self.last_text,
            "flags": names_of(self.flags),
            "bundle_version": self.bundle_version,
        }


class Cursor(NamedTuple):
    """The last conversation of a page."""

    last_at: float
    conversation_id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises ValueError."""
        try:
            last_at, conversation_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, UnicodeError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("it is none that an earlier page gave") from error
        if not isinstance(last_at, int | float) or not isinstance(conversation_id, str):
            raise ValueError("it is none that an earlier page gave")
        return cls(last_at, conversation_id)


class Page(NamedTuple):
    """`total` is how many there are on all pages together."""

    summaries: tuple[Summary, ...]
    next: Cursor | None
    total: int


_place = itemgetter(0, 1)


class ConversationIndex:
    """Grows with the turns of a log, in whatever order the partitions are read."""

    def __init__(self, most: int = MOST_SUMMARIES) -> None:
        self._most = most
        self._by_id: dict[str, Summary] = {}
        self._sorted: list[Summary] = []
        self._changed: dict[str, Summary | None] = {}
        """What stands in `_sorted` of the conversations that have changed since."""
        self._versions: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, record: TurnRecord) -> None:
        """The next turn of its conversation."""
        conversation_id = record.conversation_id
        before = self._by_id.pop(conversation_id, None)
        if conversation_id not in self._changed:
            self._changed[conversation_id] = before
        if erases(record):
            return
        line = _line(user_text(record))
        version = self._versions.setdefault(record.bundle_version, record.bundle_version)
        self._by_id[conversation_id] = Summary(
            timestamp_from_proto(record.committed_at),
            conversation_id,
            record.turn_number,
            line or (before.last_text if before else ""),
            _searched(before.searched if before else conversation_id.casefold(), line),
            flags_of(record) | (before.flags if before else 0),
            version,
        )
        if len(self._by_id) > self._most * SURPLUS:
            self._leave_out()

    def _leave_out(self) -> None:
        newest = sorted(self._by_id.values(), key=_place)[-self._most :]
        self._by_id = {summary.conversation_id: summary for summary in newest}
        self._sorted, self._changed = newest, {}

    def all(self) -> Sequence[Summary]:
        """Oldest first; what is added later does not show in it."""
        if len(self._changed) > MOST_REPAIRS:
            self._sorted = sorted(self._by_id.values(), key=_place)
        elif self._changed:
            self._sorted = self._repaired()
        self._changed = {}
        return self._sorted

    def _repaired(self) -> list[Summary]:
        found = list(self._sorted)
        for conversation_id, before in self._changed.items():
            if before is not None:
                del found[bisect_left(found, _place(before), key=_place)]
            if (now := self._by_id.get(conversation_id)) is not None:
                insort(found, now, key=_place)
        return found


def _line(said: str | None) -> str:
    """The beginning of what was said, which may be a whole book."""
    return " ".join(said[: MOST_OF_A_TEXT * 2].split())[:MOST_OF_A_TEXT] if said else ""


def _searched(before: str, line: str) -> str:
    if not line:
        return before
    conversation_id, _, texts = f"{before}\n{line.casefold()}".partition("\n")
    if len(texts) > MOST_OF_TEXTS:
        texts = texts[-MOST_OF_TEXTS:].partition("\n")[2]
    return f"{conversation_id}\n{texts}"


def page_of(
    summaries: Sequence[Summary], *, words: str = "", flags: int = 0, limit: int = 50, after: Cursor | None = None
) -> Page:
    """The newest of what `ConversationIndex.all` gave; `words` are looked for in ids and texts, in any case.

    `flags`: with at least one of these.
    """
    found = summaries
    if flags:
        found = [summary for summary in found if summary.flags & flags]
    if words:
        wanted = words.casefold()
        found = [summary for summary in found if wanted in summary.searched]
    end = len(found) if after is None else bisect_left(found, tuple(after), key=_place)
    start = max(0, end - limit)
    page = tuple(reversed(found[start:end]))
    last = page[-1] if page and start else None
    return Page(page, Cursor(last.last_at, last.conversation_id) if last else None, len(found))
