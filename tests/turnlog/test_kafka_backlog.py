"""How much waits in the inbox is read from brokers that are not always ready to tell."""

from types import SimpleNamespace
from typing import Any

import kafka.errors
import pytest
from turnstream.turnlog.kafka.backlog import Backlog
from turnstream.turnlog.kafka.settings import KafkaSettings


class Brokers:
    """Answers with one waiting message in each partition, after the errors that it is given."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    def list_group_offsets(self, groups: dict[str, Any]) -> dict[str, Any]:
        if self._errors:
            raise self._errors.pop(0)
        return {group: {} for group in groups}

    def list_partition_offsets(self, wanted: dict[Any, int]) -> dict[Any, Any]:
        return {tp: SimpleNamespace(offset=1) for tp in wanted}


def backlog_on(*errors: Exception) -> Backlog:
    return Backlog(KafkaSettings(partitions=2), Brokers(*errors), interval_s=0.001)


async def test_a_coordinator_that_moves_is_asked_again() -> None:
    backlog = backlog_on(kafka.errors.NotCoordinatorError(), kafka.errors.KafkaTimeoutError())
    await backlog.start()
    assert [backlog.of(0), backlog.of(1)] == [1, 1]
    await backlog.close()


async def test_what_does_not_pass_is_told() -> None:
    with pytest.raises(kafka.errors.GroupAuthorizationFailedError):
        await backlog_on(kafka.errors.GroupAuthorizationFailedError()).start()
