"""What the components of NLU may ask outside."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from turnstream.features.understanding import Understanding
from turnstream.inference.asker import ModelAsker


@dataclass(frozen=True, slots=True)
class Outside:
    """`duckling_url`, where not empty, stands in for the `url` of every DucklingEntityExtractor."""

    models: ModelAsker
    predict_timeout_s: float = 5.0
    duckling_url: str = ""
    now: Callable[[], float] = time.time


class NluComponent(Protocol):
    async def process(self, message: Understanding, outside: Outside) -> Understanding: ...


__all__ = ["NluComponent", "Outside", "Understanding"]
