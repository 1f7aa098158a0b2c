"""Dialogues as training reads them: distinct states once, sequences of their indices; numpy only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from turnstream.dialogue.state import DialogueState
from turnstream.features.states import StateEncoder, follows_message
from turnstream.models.sparse_table import SparseSelection, SparseTable
from turnstream.models.story_texts import StateTexts, StoryTexts
from turnstream.models.types import Array, Floats, Ints

NO_LABEL = -1
EMPTY_STATE = DialogueState()


@dataclass(frozen=True, slots=True, eq=False)
class TedData:
    """Training data of TED.

    size: of the state features; names: what is predicted, actions or intents; table: the distinct states;
    sequences: for each example the indices of its states [turns], oldest first;
    labels: for each example [turns], indices into `names`, -1 where nothing is predicted. Where several labels fit
    (UnexpecTED), `labels` has one of them at the last turn and `label_sets` all, for each example.
    texts: of end-to-end stories; the distinct states are then those of `texts`, which name their rows in `table`.
    """

    size: int
    names: tuple[str, ...]
    table: SparseTable
    sequences: tuple[Ints, ...]
    labels: tuple[Ints, ...]
    label_sets: tuple[tuple[int, ...], ...] = ()
    texts: StateTexts | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DialogueBatch:
    """lengths: [batch]; used: the distinct states; states: their rows; index: [sum of lengths] indices into them;
    labels: [sum of lengths], -1 where nothing is predicted.
    """

    lengths: Ints
    used: Ints
    states: SparseSelection
    index: Ints
    labels: Ints


Dialogue = tuple[Sequence[DialogueState], Sequence[str | None]]
"""The states of a dialogue and the action that followed each; None where it cannot be predicted."""


def dialogue_data(
    dialogues: Iterable[Dialogue],
    encoder: StateEncoder,
    actions: Sequence[str],
    max_history: int | None,
    texts: StoryTexts | None = None,
) -> TedData:
    """What TED learns from; `texts` are those of end-to-end stories.

    With `max_history`, each action is an example with the latest states before it, equal examples once (Rasa's
    MaxHistoryTrackerFeaturizer); without, a dialogue is one example that predicts every action
    (FullDialogueTrackerFeaturizer). Raises ValueError for an action that is not in `actions`.
    """
    index = {name: i for i, name in enumerate(actions)}
    table, seen = SparseTable(encoder.size), set[bytes]()
    spoken = StateTexts(texts, actions) if texts is not None else None
    sequences: list[Ints] = []
    labels: list[Ints] = []
    for states, followed in dialogues:
        rows = _rows(states, encoder, table)
        rows = rows if spoken is None else spoken.add(states, rows)
        targets = np.array([_label(index, action) for action in followed], np.int32)
        for sequence, target in _examples(rows, targets, max_history):
            key = sequence.tobytes() + target.tobytes()
            if key not in seen and (target != NO_LABEL).any():
                seen.add(key)
                sequences.append(sequence)
                labels.append(target)
    return TedData(encoder.size, tuple(actions), table.freeze(), tuple(sequences), tuple(labels), texts=spoken)


def intent_data(
    dialogues: Iterable[Sequence[DialogueState]],
    encoder: StateEncoder,
    intents: Sequence[str],
    max_history: int | None,
) -> TedData:
    """What UnexpecTED learns from: the states before a user message, and all intents that follow them anywhere.

    dialogues: the states of each, one before each action; those that follow `action_listen` and name an intent are the
    user messages. Intents that are not in `intents` are left out.
    """
    index = {name: i for i, name in enumerate(intents)}
    table = SparseTable(encoder.size)
    found: dict[bytes, tuple[Ints, set[int]]] = {}
    for states in dialogues:
        rows = _rows((EMPTY_STATE, *states), encoder, table)
        for place, state in enumerate(states):
            if is_user_turn(states, place) and state.intent in index:
                sequence = before_user_turn(rows[: place + 1], max_history)
                found.setdefault(sequence.tobytes(), (sequence, set()))[1].add(index[state.intent])
    sequences = tuple(sequence for sequence, _ in found.values())
    sets = tuple(tuple(sorted(labels)) for _, labels in found.values())
    targets = tuple(_at_end(len(s), labels[0]) for s, labels in zip(sequences, sets, strict=True))
    return TedData(encoder.size, tuple(intents), table.freeze(), sequences, targets, sets)


def before_user_turn(rows: Ints, max_history: int | None) -> Ints:
    """The latest rows, without the empty one that stands first, unless there is no other."""
    real = rows[1:] if len(rows) > 1 else rows
    return real if max_history is None else real[-max_history:]


def is_user_turn(states: Sequence[DialogueState], place: int) -> bool:
    """Whether the state at `place` is one right after a user message with an intent."""
    return follows_message(states[place]) and states[place].intent is not None


def _rows(states: Sequence[DialogueState], encoder: StateEncoder, table: SparseTable) -> Ints:
    ids, weights = encoder.encode(states)
    return np.array([table.add(row, weight) for row, weight in zip(ids, weights, strict=True)], np.int32)


def _label(index: dict[str, int], action: str | None) -> int:
    if action is None:
        return NO_LABEL
    if action not in index:
        raise ValueError(f"a dialogue has the action {action!r}, which is not among those to predict")
    return index[action]


def _examples(rows: Ints, targets: Ints, max_history: int | None) -> Iterable[tuple[Ints, Ints]]:
    if max_history is None:
        yield rows, targets
        return
    for end in range(1, len(rows) + 1):
        sequence = rows[max(0, end - max_history) : end]
        yield sequence, _at_end(len(sequence), int(targets[end - 1]))


def _at_end(length: int, label: int) -> Ints:
    targets = np.full(length, NO_LABEL, np.int32)
    targets[-1] = label
    return targets


def take(data: TedData, examples: Ints) -> DialogueBatch:
    """The examples [batch] as a batch."""
    sequences = [data.sequences[i] for i in examples]
    used, index = np.unique(np.concatenate(sequences), return_inverse=True)
    return DialogueBatch(
        lengths=np.array([len(sequence) for sequence in sequences], np.int32),
        used=used,
        states=data.table.select(used if data.texts is None else data.texts.rows[used]),
        index=index.astype(np.int32),
        labels=np.concatenate([data.labels[i] for i in examples]),
    )


def padded_dialogues(dialogues: Sequence[tuple[Ints, Floats]]) -> dict[str, Array]:
    """Encoded dialogues ([turns, k] each) as the inputs of a dialogue model's signature."""
    turns = max([1, *(ids.shape[0] for ids, _ in dialogues)])
    width = max([1, *(ids.shape[1] for ids, _ in dialogues)])
    ids = np.zeros((len(dialogues), turns, width), np.int32)
    weights = np.zeros((len(dialogues), turns, width), np.float32)
    for row, (some_ids, some_weights) in enumerate(dialogues):
        ids[row, : some_ids.shape[0], : some_ids.shape[1]] = some_ids
        weights[row, : some_ids.shape[0], : some_ids.shape[1]] = some_weights
    return {"ids": ids, "weights": weights, "lengths": np.array([len(d) for d, _ in dialogues], np.int32)}
