"""The topics: made with stated settings where they are missing, refused where they are others. Blocking calls."""

from collections.abc import Mapping
from dataclasses import dataclass

import kafka
import kafka.errors
from kafka.admin import ConfigResource, ConfigResourceType

from turnstream.turnlog.errors import IncompatibleLog
from turnstream.turnlog.kafka.settings import KafkaSettings

_HOUR_MS = 3_600_000
_PLACES_RETENTION_MS = _HOUR_MS
_STATE_SEGMENT_BYTES = 8 * 1024 * 1024
_STATE_MESSAGE_BYTES = 1024 * 1024
OVERHEAD_BYTES = 64 * 1024
"""Room for keys, headers and the batch around a message of the largest size."""


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    configs: Mapping[str, str]


def topics_of(settings: KafkaSettings) -> tuple[Topic, ...]:
    """All topics of a log.

    Turns are kept for ever; what holds words is compacted, so that a tombstone takes a person's record off the disk
    within `erasure_lag_h`. The state is compacted soon and in small segments: whoever takes a
    partition over reads all of it.
    """
    common = {"min.insync.replicas": str(max(1, settings.replication - 1))}
    words = {"max.message.bytes": str(settings.max_message_bytes + OVERHEAD_BYTES)}
    lag_ms = round(settings.erasure_lag_h * _HOUR_MS)
    erasable = words | {"max.compaction.lag.ms": str(lag_ms), "min.compaction.lag.ms": str(min(_HOUR_MS, lag_ms))}
    inbox_ms = str(round(settings.inbox_retention_h * _HOUR_MS))
    state = {
        "max.message.bytes": str(_STATE_MESSAGE_BYTES),
        "segment.bytes": str(_STATE_SEGMENT_BYTES),
        "min.cleanable.dirty.ratio": "0.2",
        "max.compaction.lag.ms": str(lag_ms),
    }
    places_ms = str(_PLACES_RETENTION_MS)
    return (
        Topic(settings.inbox, common | erasable | {"cleanup.policy": "compact,delete", "retention.ms": inbox_ms}),
        Topic(settings.turns, common | erasable | {"cleanup.policy": "compact"}),
        Topic(settings.state, common | state | {"cleanup.policy": "compact"}),
        Topic(settings.archive, common | erasable | {"cleanup.policy": "compact"}),
        Topic(settings.places, common | words | {"cleanup.policy": "delete", "retention.ms": places_ms}),
    )


def ensure_topics(admin: "kafka.KafkaAdminClient", settings: KafkaSettings) -> None:
    """Raises IncompatibleLog with everything that is different, kafka.errors.KafkaError."""
    wanted = topics_of(settings)
    found = {entry["name"] for entry in admin.describe_topics([t.name for t in wanted]) if not entry["error_code"]}
    missing = {topic.name: _creation(topic, settings) for topic in wanted if topic.name not in found}
    if missing:
        _create(admin, missing)
    _check(admin, wanted, settings)


def _creation(topic: Topic, settings: KafkaSettings) -> dict[str, object]:
    return {
        "num_partitions": settings.partitions,
        "replication_factor": settings.replication,
        "configs": dict(topic.configs),
    }


def _create(admin: "kafka.KafkaAdminClient", missing: dict[str, dict[str, object]]) -> None:
    try:
        admin.create_topics(missing)
    except kafka.errors.TopicAlreadyExistsError:
        # Another process was quicker.
        pass
    except kafka.errors.InvalidReplicationFactorError as error:
        raise IncompatibleLog(
            f"the topics {', '.join(missing)} cannot be made: {error}. "
            "Set kafka.replication to at most the number of brokers."
        ) from error
    admin.wait_for_topics(list(missing))


def _check(admin: "kafka.KafkaAdminClient", wanted: tuple[Topic, ...], settings: KafkaSettings) -> None:
    problems: list[str] = []
    for entry in admin.describe_topics([topic.name for topic in wanted]):
        problems += _check_layout(entry["name"], entry["partitions"], settings)
    described = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted], config_filter="all"
    )["topic"]
    for topic in wanted:
        for key, value in topic.configs.items():
            actual = described[topic.name][key]["value"]
            if _normal(actual) != _normal(value):
                problems.append(f"topic '{topic.name}': {key} is {actual}, not {value}")
    if problems:
        raise IncompatibleLog(
            "; ".join(problems) + ". Change the topics or the settings (kafka.*), or use another kafka.prefix."
        )


def _check_layout(name: str, partitions: list[dict[str, list[int]]], settings: KafkaSettings) -> list[str]:
    problems = []
    if len(partitions) != settings.partitions:
        problems.append(f"topic '{name}': {len(partitions)} partitions, not {settings.partitions}")
    replicas = {len(partition["replica_nodes"]) for partition in partitions}
    if replicas - {settings.replication}:
        problems.append(f"topic '{name}': replication {sorted(replicas)}, not {settings.replication}")
    return problems


def _normal(value: str) -> frozenset[str]:
    return frozenset(value.split(","))
