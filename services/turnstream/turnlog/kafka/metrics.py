"""What the Kafka log tells about itself. Partitions are labels, conversations never are."""

import contextlib

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

LAG = Gauge("turnstream_turnlog_lag_messages", "Messages of an owned partition without a turn", ["partition"])
OWNED = Gauge("turnstream_turnlog_partitions_owned", "Partitions that this worker answers")
IN_FLIGHT = Gauge("turnstream_turnlog_in_flight_messages", "Messages that were delivered and have no turn yet")

RESTORED_RECORDS = Counter("turnstream_turnlog_restored_records_total", "State records read for partitions taken over")
RESTORE_REMAINING = Gauge(
    "turnstream_turnlog_restore_remaining_records", "State records still to be read before a partition is claimed"
)
RESTORE_SECONDS = Histogram(
    "turnstream_turnlog_restore_seconds",
    "From the assignment of a partition to its claim",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
LIVE_CONVERSATIONS = Gauge("turnstream_turnlog_live_conversations", "Conversations whose index is in memory")
ARCHIVED_CONVERSATIONS = Counter("turnstream_turnlog_archived_conversations_total", "Idle conversations moved out")

FENCED = Counter("turnstream_turnlog_fenced_producers_total", "Open transactions of dead or paused workers ended")
REFUSED_COMMITS = Counter(
    "turnstream_turnlog_refused_commits_total",
    "Turns that were not committed: fenced, out_of_order, too_large",
    ["reason"],
)
TRANSACTION_SECONDS = Histogram("turnstream_turnlog_transaction_seconds", "One transaction", buckets=_SECONDS)
TRANSACTION_TURNS = Histogram(
    "turnstream_turnlog_transaction_turns",
    "Turns that one transaction commits",
    buckets=(1, 2, 5, 10, 25, 50, 100, 256),
)
FAILED_TRANSACTIONS = Counter("turnstream_turnlog_failed_transactions_total", "Transactions that were tried again")

ACCEPTED = Counter("turnstream_turnlog_accepted_messages_total", "Messages that this gateway put into the inbox")
ACCEPT_SECONDS = Histogram(
    "turnstream_turnlog_accept_seconds", "From a message to its acknowledgement", buckets=_SECONDS
)
REFUSED = Counter(
    "turnstream_turnlog_refused_messages_total",
    "Messages that were not accepted: full, conversation_full, partition_full, unavailable, too_large",
    ["reason"],
)
WAITING = Gauge("turnstream_turnlog_waiting_messages", "Messages of this gateway that wait for their turn")
BACKLOG = Gauge(
    "turnstream_turnlog_backlog_messages", "Messages of a partition without a turn, of all gateways", ["partition"]
)
UNDECODABLE = Counter("turnstream_turnlog_undecodable_records_total", "Records that were passed over", ["log"])


def forget_partition(gauge: Gauge, partition: int) -> None:
    """This process knows it no more."""
    with contextlib.suppress(KeyError):
        gauge.remove(partition)
