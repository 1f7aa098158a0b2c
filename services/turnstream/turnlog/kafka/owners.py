"""Which worker answers a partition, and where it can be asked: what the group's coordinator says."""

import asyncio
import logging
import time
from typing import Any

import kafka.errors

from turnstream.turnlog.kafka.settings import KafkaSettings

logger = logging.getLogger(__name__)

_FRESH_S = 1.0
_STABLE = "Stable"
_NO_GROUP = {"group_state": "Dead", "members": []}


def client_id_of(settings: KafkaSettings, address: str) -> str:
    """A member's name: brokers show it, and it says where the worker can be asked."""
    return f"{settings.prefix}worker@{address}"


def address_of(client_id: str) -> str:
    return client_id.partition("@")[2]


class Owners:
    """Asked at most once a second. While the group shares out its partitions anew, the last known answer stands."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._addresses: dict[int, str] = {}
        self._read_at = -_FRESH_S
        self._lock = asyncio.Lock()

    async def address(self, admin: Any, partition: int) -> str | None:
        """None where nobody is known. Raises kafka.errors.KafkaError."""
        async with self._lock:
            if time.monotonic() - self._read_at >= _FRESH_S or partition not in self._addresses:
                await self._refresh(admin)
        return self._addresses.get(partition) or None

    async def _refresh(self, admin: Any) -> None:
        group = await asyncio.to_thread(_describe, admin, self._settings.group)
        self._read_at = time.monotonic()
        if group["group_state"] in ("Empty", "Dead"):
            self._addresses = {}
        elif group["group_state"] == _STABLE:
            self._addresses = _addresses(group, self._settings.inbox)


def _addresses(group: Any, inbox: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for member in group["members"]:
        assignment = member["member_assignment"] or {"assigned_partitions": []}
        for assigned in assignment["assigned_partitions"]:
            if assigned["topic"] == inbox:
                found.update(dict.fromkeys(assigned["partitions"], address_of(member["client_id"])))
    return found


async def has_workers(settings: KafkaSettings, admin: Any) -> bool:
    """Whether the group has members. Raises kafka.errors.KafkaError."""
    return bool((await asyncio.to_thread(_describe, admin, settings.group))["members"])


def _describe(admin: Any, group: str) -> Any:
    try:
        return admin.describe_groups([group])[group]
    except kafka.errors.CoordinatorNotAvailableError:
        # Nobody ever joined a group on this cluster.
        return _NO_GROUP
