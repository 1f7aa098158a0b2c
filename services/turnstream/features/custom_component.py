"""What an author's own component of the NLU pipeline is derived from (docs/custom-components.md)."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnstream.assistant.nlu_data import Example
from turnstream.features.understanding import Understanding


@dataclass(frozen=True, slots=True)
class TrainingMessage:
    """An example of the training data, and what the pipeline's tokenizer and featurizers make of it."""

    example: Example
    message: Understanding


class CustomComponent(ABC):
    """A step of the NLU pipeline. It may keep what it learnt, and nothing of one message for the next.

    It runs where the service `nlu` runs, several messages at a time: `process` must not wait without `await`.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """options: the keys that stand in the config beside `name`."""
        self.options = options

    @classmethod
    def find_faults(cls, options: Mapping[str, Any]) -> Iterable[str]:
        """What is wrong with the options; training is refused with it."""
        return ()

    def train(self, messages: Sequence[TrainingMessage], folder: Path) -> None:  # noqa: B027
        """Learn, and write what was learnt into `folder`, which exists; nothing to learn by default."""

    def load(self, folder: Path) -> None:  # noqa: B027
        """Read what `train` wrote; called once before the first message."""

    @abstractmethod
    def process(self, message: Understanding) -> Understanding | Awaitable[Understanding]:
        """The message with what this component finds: `dataclasses.replace(message, intent=...)`, or
        `message.with_entities(...)`.
        """
