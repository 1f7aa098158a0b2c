"""What the gateway counts; `docs/metrics.md` says what it means."""

from prometheus_client import Counter, Gauge, Histogram

from turnstream.runtime.metrics import SECONDS

REST_SECONDS = Histogram(
    "turnstream_rest_seconds", "REST requests answered, by route and status", ["route", "status"], buckets=SECONDS
)
REST_IN_FLIGHT = Gauge("turnstream_rest_in_flight", "REST requests being answered")
REST_CONNECTIONS = Gauge("turnstream_rest_connections", "Open connections of the REST door")
SUBSCRIPTIONS = Gauge("turnstream_gateway_subscriptions", "Clients that read a conversation's turns as they come")
REFUSED = Counter(
    "turnstream_gateway_refused_total", "What was refused by a limit: rate, calls, connections", ["limit"]
)
JOBS = Histogram(
    "turnstream_gateway_job_seconds",
    "Trainings and tests asked for over REST, by kind",
    ["kind"],
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
)
DELIVERIES = Counter(
    "turnstream_gateway_deliveries_total", "Turns brought to a channel, by channel and outcome", ["channel", "outcome"]
)
