"""What the model client counts; `docs/metrics.md` says what it means."""

from prometheus_client import Counter

PREDICTION_FAILURES = Counter(
    "turnstream_model_prediction_failures_total", "Predictions that failed, by model and status", ["model", "code"]
)
