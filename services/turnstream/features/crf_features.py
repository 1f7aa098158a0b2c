"""What a CRFEntityExtractor sees of a token and its neighbours.

Behaviour: https://rasa.com/docs/rasa/components#crfentityextractor.
"""

from collections.abc import Callable, Mapping, Sequence

from turnstream.features.arrays import Floats
from turnstream.features.tokens import Token

TokenFeatures = dict[str, float]
"""Weights by feature name."""

FORMS: Mapping[str, Callable[[str], str | bool]] = {
    "low": str.lower,
    "title": str.istitle,
    "upper": str.isupper,
    "digit": str.isdigit,
    "prefix5": lambda word: word[:5],
    "prefix2": lambda word: word[:2],
    "suffix5": lambda word: word[-5:],
    "suffix3": lambda word: word[-3:],
    "suffix2": lambda word: word[-2:],
    "suffix1": lambda word: word[-1:],
    "bias": lambda word: "bias",
    # As they were called before Rasa 2.
    "word3": lambda word: word[-3:],
    "word2": lambda word: word[-2:],
}
PATTERN, DENSE, POS, POS2 = "pattern", "text_dense_features", "pos", "pos2"
CRF_FEATURES = (*FORMS, PATTERN, DENSE, POS, POS2)


def crf_features(
    tokens: Sequence[Token],
    windows: Sequence[Sequence[str]],
    *,
    patterns: Sequence[Sequence[str]],
    dense: Floats,
    entity_tags: Sequence[str] | None = None,
) -> list[TokenFeatures]:
    """The features of each token: for each place of the window those that `windows` names, its middle the token.

    patterns: for each token the names of the patterns that match it; dense: [tokens, width]; entity_tags: for roles and
    groups, which also see what the token and its neighbours are.
    """
    own = [_of_token(token, patterns[place], dense, place) for place, token in enumerate(tokens)]
    return [_in_window(place, own, windows, entity_tags) for place in range(len(tokens))]


def _of_token(token: Token, patterns: Sequence[str], dense: Floats, place: int) -> Mapping[str, TokenFeatures]:
    """For each kind of feature what the token has."""
    found: dict[str, TokenFeatures] = {}
    for name, form in FORMS.items():
        value = form(token.text)
        found[name] = {f"{name}:{value}" if isinstance(value, str) else name: 1.0} if value else {}
    found[PATTERN] = {f"{PATTERN}:{name}": 1.0 for name in patterns}
    found[DENSE] = {f"{DENSE}:{i}": float(value) for i, value in enumerate(dense[place])} if dense.size else {}
    found[POS] = {f"{POS}:{token.pos}": 1.0} if token.pos else {}
    found[POS2] = {f"{POS2}:{token.pos[:2]}": 1.0} if token.pos else {}
    return found


def _in_window(
    place: int,
    own: Sequence[Mapping[str, TokenFeatures]],
    windows: Sequence[Sequence[str]],
    entity_tags: Sequence[str] | None,
) -> TokenFeatures:
    features: TokenFeatures = {}
    before = len(windows) // 2
    for number, names in enumerate(windows):
        offset = number - before
        neighbour = place + offset
        if not 0 <= neighbour < len(own):
            continue
        for name in names:
            features |= {f"{offset}:{key}": weight for key, weight in own[neighbour].get(name, {}).items()}
        if entity_tags is not None:
            features[f"{offset}:entity:{entity_tags[neighbour]}"] = 1.0
    if place == 0:
        features["BOS"] = 1.0
    if place == len(own) - 1:
        features["EOS"] = 1.0
    return features
