"""What operators see of a rollout."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

BUNDLE_INFO = Gauge(
    "turnstream_bundle_info",
    "Versions in this process; state: loading, loaded, ready, broken, missing. Always 1.",
    ("version", "state"),
)
STABLE_INFO = Gauge(
    "turnstream_rollout_stable_info", "The version that serves where none is named. Always 1.", ("version",)
)
CANARY_SHARE = Gauge("turnstream_rollout_canary_share", "Share of conversations that a canary serves, from 0 to 1.")
PROBLEMS = Gauge("turnstream_rollout_problems", "What stands in the way of the plan; 0 where all is well.")
LOAD_SECONDS = Histogram(
    "turnstream_bundle_load_seconds", "How long loading a bundle took.", buckets=(0.1, 0.3, 1, 3, 10, 30, 100)
)
LOAD_FAILURES = Counter("turnstream_bundle_load_failures_total", "Bundles that could not be loaded.")


def report(states: Mapping[str, str], stable: str, canary_share: float, problems: int) -> None:
    """Replace what was told before. `states` are those of the versions."""
    BUNDLE_INFO.clear()
    for version, state in states.items():
        BUNDLE_INFO.labels(version, state).set(1)
    STABLE_INFO.clear()
    if stable:
        STABLE_INFO.labels(stable).set(1)
    CANARY_SHARE.set(canary_share)
    PROBLEMS.set(problems)
