"""How the turn log meets its Kafka: addresses, names, sizes, times, credentials."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """`partitions`, `replication` and the retention are stated when topics are created; topics that exist with others
    are refused. A worker that died is replaced `session_timeout_s` after its last heartbeat; the broker allows no less
    than its `group.min.session.timeout.ms` (6 s by default). A dead worker's open transaction is ended by the worker
    that takes over after `fence_after_s`; `transaction_timeout_s` is what ends it where none takes over.
    `max_message_bytes` bounds one message or one turn. `max_unanswered` is one gateway's share of what waits,
    `max_backlog_per_partition` is what may wait in all, from whichever gateway. A conversation that was idle for
    `idle_after_h` leaves the memory of its worker. Empty strings mean: not given.
    """

    bootstrap_servers: str = "127.0.0.1:9092"
    prefix: str = "turnstream."
    partitions: int = 16
    replication: int = 3
    inbox_retention_h: float = 168.0
    erasure_lag_h: float = 24.0
    max_message_bytes: int = 4 * 1024 * 1024
    max_unanswered: int = 10_000
    max_unanswered_per_conversation: int = 100
    max_backlog_per_partition: int = 20_000
    idle_after_h: float = 720.0
    accept_timeout_s: float = 5.0
    session_timeout_s: float = 6.0
    transaction_timeout_s: float = 10.0
    fence_after_s: float = 0.3
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_check_hostname: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError. What is erased must have left the disks before its index goes to the archive."""
        if 0 < self.idle_after_h <= self.erasure_lag_h:
            raise ValueError(
                f"kafka.idle_after_h ({self.idle_after_h:g}) must be longer than kafka.erasure_lag_h "
                f"({self.erasure_lag_h:g}), or 0 for never"
            )

    @property
    def inbox(self) -> str:
        return f"{self.prefix}inbox"

    @property
    def turns(self) -> str:
        return f"{self.prefix}turns"

    @property
    def state(self) -> str:
        return f"{self.prefix}state"

    @property
    def archive(self) -> str:
        return f"{self.prefix}archive"

    @property
    def places(self) -> str:
        return f"{self.prefix}places"

    @property
    def group(self) -> str:
        return f"{self.prefix}workers"

    def __repr__(self) -> str:
        return f"KafkaSettings({self.bootstrap_servers!r}, prefix={self.prefix!r}, partitions={self.partitions})"


Config = dict[str, Any]
"""Keyword arguments of a kafka-python client."""


def client_config(settings: KafkaSettings) -> Config:
    """What every client needs: where the brokers are and how to be let in."""
    config: Config = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": 5_000,
        "reconnect_backoff_max_ms": 1_000,
        "ssl_check_hostname": settings.ssl_check_hostname,
        # A request above it is refused by the client instead of waiting for its turn.
        "max_in_flight_requests_per_connection": 100,
    }
    named = {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password,
        "ssl_cafile": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
    }
    return config | {key: value for key, value in named.items() if value}


def consumer_config(settings: KafkaSettings) -> Config:
    return client_config(settings) | {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "max_partition_fetch_bytes": max(1024 * 1024, settings.max_message_bytes),
    }


def producer_config(settings: KafkaSettings) -> Config:
    return client_config(settings) | {
        "acks": "all",
        "enable_idempotence": True,
        "max_in_flight_requests_per_connection": 5,
        "compression_type": "lz4",
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "max_request_size": settings.max_message_bytes + 64 * 1024,
    }
