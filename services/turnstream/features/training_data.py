"""What the models of NLU are trained on: featurized examples with their labels, numpy only.

Made by `training.nlu_components.fit_nlu`, used by `models.diet` and `models.selector`.
Each example counts: `NluData.distinct` has left out those that only repeat another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from turnstream.features.arrays import Ints, TextFeatures
from turnstream.features.crf_features import TokenFeatures

NO_LABEL = -1
"""Stands in a label array for an example without a label."""


@dataclass(frozen=True, slots=True, eq=False)
class TaggerData:
    """Tags of every example for one tagger: `name` is "entity", "role" or "group".

    tags: the tag names, `tags[0]` is "O"; labels: for each example [tokens], indices into `tags`.
    """

    name: str
    tags: tuple[str, ...]
    labels: tuple[Ints, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DietData:
    """Training data of one DIETClassifier.

    intent_words: the words of each intent's name, where it stands for several intents (`intent_tokenization_flag`);
    empty where names are not split;
    texts: the examples' features; intents: [examples], indices into `intent_names`, -1 where an example has no intent;
    taggers: empty where no entities are learned, else "entity" first.
    """

    texts: tuple[TextFeatures, ...]
    intents: Ints
    intent_names: tuple[str, ...]
    taggers: tuple[TaggerData, ...]
    intent_words: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SelectorData:
    """Training data of one ResponseSelector.

    texts: the features of the messages of its retrieval intents; labels: [examples], indices into `keys`;
    keys: intent response keys (`faq/ask_name`); key_texts: for each key the features of the texts of the response's
    variations, empty where none has a text.
    """

    texts: tuple[TextFeatures, ...]
    labels: Ints
    keys: tuple[str, ...]
    key_texts: tuple[tuple[TextFeatures, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class IntentData:
    """Training data of a LogisticRegressionClassifier: the texts that have an intent, an index into `names`."""

    texts: tuple[TextFeatures, ...]
    intents: Ints
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CrfData:
    """Training data of a CRFEntityExtractor, by tagger, "entity" first.

    sequences: the features of each example's tokens; tags: of each example's tokens.
    """

    sequences: Mapping[str, Sequence[Sequence[TokenFeatures]]]
    tags: Mapping[str, Sequence[Sequence[str]]]
