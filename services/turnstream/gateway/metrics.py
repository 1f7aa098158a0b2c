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
