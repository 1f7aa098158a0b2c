"""The texts of end-to-end stories as training reads them, each distinct one featurized once; numpy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from turnstream.dialogue.state import DialogueState
from turnstream.features.arrays import FeatureSpec, TextFeatures, no_text
from turnstream.features.story_texts import text_of
from turnstream.models.text_data import TextBatch, TextData
from turnstream.models.types import Ints

NO_TEXT = 0
"""The number of the empty text that comes first, so that a batch is never without one."""


@dataclass(frozen=True, slots=True)
class TextSizes:
    """What the encoders of a model are built for. users, bots: None where stories have no such texts;
    action_texts: what the assistant says; tags: of the entities in users' texts, `O` first, empty where none is learnt.
    """

    users: FeatureSpec | None
    bots: FeatureSpec | None
    action_texts: tuple[str, ...]
    tags: tuple[str, ...] = ()


class StoryTexts:
    """Features by text. users: what users say; bots: for each of `sizes.action_texts`;
    tags: for a user's text [tokens], indices into `sizes.tags`; a text without counts as one without entities.
    """

    def __init__(
        self,
        sizes: TextSizes,
        users: Mapping[str, TextFeatures],
        bots: Mapping[str, TextFeatures],
        tags: Mapping[str, Ints] | None = None,
    ) -> None:
        self.sizes = sizes
        self.users = _with_nothing(users, sizes.users)
        self.bots = _with_nothing(bots, sizes.bots)
        self.bot_features = tuple(bots.values())
        self._user_numbers = {text: number for number, text in enumerate(users, start=1)}
        self._bot_numbers = {text: number for number, text in enumerate(bots, start=1)}
        lengths = self.users.lengths[1:]
        known = tags or {}
        found = [known.get(text, np.zeros(length, np.int32)) for text, length in zip(users, lengths, strict=True)]
        self._tags: Ints = np.concatenate([np.zeros(0, np.int32), *found])

    def numbers(self, state: DialogueState) -> tuple[int, int]:
        """The numbers of what the user has just said, and of what the assistant said before."""
        user = self._user_numbers.get(text_of(state) or "", NO_TEXT)
        return user, self._bot_numbers.get(state.previous_action_text or "", NO_TEXT)

    def bot_numbers(self, actions: Sequence[str]) -> Ints:
        """[actions]: the numbers of those that are texts."""
        return np.array([self._bot_numbers.get(action, NO_TEXT) for action in actions], np.int32)

    def padded_tags(self, users: Ints) -> Ints:
        """users: [texts] -> [texts, tokens], at least one token wide."""
        lengths = self.users.lengths[users]
        padded = np.zeros((len(users), max(1, int(lengths.max(initial=0)))), np.int32)
        padded[np.arange(padded.shape[1]) < lengths[:, np.newaxis]] = self._tags[self.users.token_positions(users)]
        return padded


def _with_nothing(texts: Mapping[str, TextFeatures], spec: FeatureSpec | None) -> TextData:
    spec = spec or FeatureSpec(0, 0)
    return TextData([no_text(spec), *texts.values()], spec)


class StateTexts:
    """Which texts the distinct states of dialogues have.

    rows: [states], the rows of their other features; labels: [actions], the number of each action's text.
    """

    def __init__(self, texts: StoryTexts, actions: Sequence[str]) -> None:
        self.texts = texts
        self.labels = texts.bot_numbers(actions)
        self._states: dict[tuple[int, int, int], int] = {}
        self._parts: Ints | None = None

    def add(self, states: Sequence[DialogueState], rows: Ints) -> Ints:
        """The indices of these states, whose other features are `rows`."""
        keys = [(int(row), *self.texts.numbers(state)) for state, row in zip(states, rows, strict=True)]
        self._parts = None
        return np.array([self._states.setdefault(key, len(self._states)) for key in keys], np.int32)

    @property
    def rows(self) -> Ints:
        return self._column(0)

    @property
    def users(self) -> Ints:
        """[states]: the number of what the user has just said."""
        return self._column(1)

    @property
    def bots(self) -> Ints:
        """[states]: the number of what the assistant said before."""
        return self._column(2)

    def _column(self, place: int) -> Ints:
        if self._parts is None:
            self._parts = np.array(list(self._states), np.int32).reshape(-1, 3).T
        column: Ints = self._parts[place]
        return column


@dataclass(frozen=True, slots=True, eq=False)
class TextPicks:
    """The texts that some places have: the distinct ones as a batch, the empty one first; index: [places] into them."""

    texts: TextBatch
    index: Ints
    numbers: Ints


def pick(texts: TextData, numbers: Ints, *, with_tokens: bool = True) -> TextPicks:
    """numbers: [places]; without tokens for encoders that read sentence rows only."""
    used, index = np.unique(np.concatenate([[NO_TEXT], numbers]), return_inverse=True)
    used = used.astype(np.int32)
    return TextPicks(texts.batch(used, with_tokens=with_tokens), index[1:].astype(np.int32), used)
