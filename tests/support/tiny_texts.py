"""A tiny bot's featurized texts: words only, made without the feature pipeline."""

import numpy as np
from turnstream.features.arrays import FeatureSpec, TextFeatures
from turnstream.features.training_data import DietData, SelectorData, TaggerData

EXAMPLES = (
    ("hello there", "greet", "O O"),
    ("hi bot", "greet", "O O"),
    ("good morning", "greet", "O O"),
    ("fly to paris", "travel", "O O U-city"),
    ("fly from rome to paris", "travel", "O O U-city O U-city"),
    ("go to new york", "travel", "O O B-city L-city"),
    ("bye", "goodbye", "O"),
    ("see you later", "goodbye", "O O O"),
)
WORDS = tuple(sorted({word for text, _, _ in EXAMPLES for word in text.split()}))
DENSE_WIDTH = 3


def spec_of(*, dense: bool = False) -> FeatureSpec:
    return FeatureSpec(2 * len(WORDS), len(WORDS), DENSE_WIDTH if dense else 0)


def features_of(text: str, *, dense: bool = False) -> TextFeatures:
    """A token's features are the word and the word before it."""
    words = [WORDS.index(word) + 1 for word in text.split()]
    ids = np.array([[w, len(WORDS) + before] for w, before in zip(words, [0, *words], strict=False)], np.int32)
    ids = ids.reshape(-1, 2)
    ids[:1, 1] = 0
    width = DENSE_WIDTH if dense else 0
    generator = np.random.default_rng(sum(words))
    return TextFeatures(
        ids=ids,
        weights=(ids > 0).astype(np.float32),
        sentence_ids=np.array(words, np.int32),
        sentence_weights=np.ones(len(words), np.float32),
        dense=generator.normal(size=(len(words), width)).astype(np.float32),
        sentence_dense=generator.normal(size=width).astype(np.float32),
    )


def diet_data(*, dense: bool = False, roles: bool = False) -> DietData:
    texts = tuple(features_of(text, dense=dense) for text, _, _ in EXAMPLES)
    intents = tuple(sorted({intent for _, intent, _ in EXAMPLES}))
    labels = np.array([intents.index(intent) for _, intent, _ in EXAMPLES], np.int32)
    tags = ("O", *sorted({tag for _, _, row in EXAMPLES for tag in row.split()} - {"O"}))
    taggers = [TaggerData("entity", tags, tuple(_ids(row.split(), tags) for _, _, row in EXAMPLES))]
    if roles:
        names = ("O", "U-from", "U-to")
        taggers.append(TaggerData("role", names, tuple(_ids(_roles(text, row), names) for text, _, row in EXAMPLES)))
    return DietData(texts, labels, intents, tuple(taggers))


def selector_data() -> SelectorData:
    keys = ("faq/greet", "faq/travel", "faq/goodbye")
    texts = tuple(features_of(text) for text, _, _ in EXAMPLES)
    labels = np.array([keys.index(f"faq/{intent}") for _, intent, _ in EXAMPLES], np.int32)
    return SelectorData(texts, labels, keys, ((features_of("hello"),), (features_of("go fly"),), ()))


def _roles(text: str, row: str) -> list[str]:
    words = ["", *text.split()]
    return [f"U-{words[i]}" if tag == "U-city" else "O" for i, tag in enumerate(row.split())]


def _ids(tags: list[str], names: tuple[str, ...]) -> np.ndarray:
    return np.array([names.index(tag) for tag in tags], np.int32)
