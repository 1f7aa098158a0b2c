"""Dates and times as action servers write them."""

from datetime import datetime


def moment_of(text: str) -> float | None:
    """The moment that ISO 8601 text names, in seconds since the epoch; None where it names none.

    Without an offset it is in this process's time zone, as in Rasa.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
