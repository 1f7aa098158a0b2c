"""Features that are computed once."""

import numpy as np
import pytest
from turnstream.features.arrays import TextFeatures
from turnstream.features.store import Attribute, FeatureStore, NotStored

TEXT, INTENT = Attribute.TEXT, Attribute.INTENT


class Counting:
    """The numbers of a text's characters, and how often each text was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, value: str) -> np.ndarray:
        self.asked.append(value)
        return np.array([ord(c) for c in value], np.int32)


def store(limit: int | None = None) -> tuple[FeatureStore[np.ndarray], Counting]:
    counting = Counting()
    return FeatureStore({TEXT: counting, INTENT: counting}, limit), counting


def test_what_is_asked_for_again_is_not_computed_again() -> None:
    features, counting = store()
    first = features.features(TEXT, "hello")
    assert features.features(TEXT, "hello") is first
    assert features.stored(TEXT, "hello") is first
    assert counting.asked == ["hello"]


def test_a_text_and_an_intent_of_the_same_name_are_different_things() -> None:
    features, counting = store()
    features.add(TEXT, ["greet"])
    assert (INTENT, "greet") not in features
    features.add(INTENT, ["greet"])
    assert counting.asked == ["greet", "greet"]
    assert features.values(INTENT) == ("greet",)


def test_what_is_added_again_is_a_collision() -> None:
    features, counting = store()
    features.add(TEXT, ["a", "b", "a", "a"])
    assert (len(features), features.collisions, features.computed) == (2, 2, 2)
    assert counting.asked == ["a", "b"]


def test_the_same_features_from_elsewhere_are_a_collision_and_others_are_refused() -> None:
    features, _ = store()
    features.put(TEXT, "a", np.array([97], np.int32))
    features.put(TEXT, "a", np.array([97], np.int32))
    assert features.collisions == 1
    with pytest.raises(ValueError, match="text 'a' has other features already"):
        features.put(TEXT, "a", np.array([98], np.int32))
    assert features.stored(TEXT, "a").tolist() == [97]


def test_looking_up_what_was_never_added_is_an_error_that_names_it() -> None:
    features, counting = store()
    features.add(INTENT, ["hello"])
    with pytest.raises(NotStored, match="no features of text 'hello'"):
        features.stored(TEXT, "hello")
    assert counting.asked == ["hello"]


@pytest.mark.parametrize("misuse", ["features", "add", "put", "stored", "values"])
def test_an_attribute_that_the_store_has_nothing_of_is_refused(misuse: str) -> None:
    features, _ = store()
    given = {"add": (["a"],), "put": ("a", np.zeros(1)), "values": ()}.get(misuse, ("a",))
    with pytest.raises(ValueError, match="no features of action_name, only of intent, text"):
        getattr(features, misuse)(Attribute.ACTION_NAME, *given)


def test_the_fingerprint_is_of_values_and_features_and_of_no_order() -> None:
    (one, _), (other, _), (changed, _) = store(), store(), store()
    one.add(TEXT, ["a", "bc"])
    other.add(TEXT, ["bc", "a", "a"])
    changed.add(TEXT, ["a"])
    changed.put(TEXT, "bc", np.array([1, 2], np.int32))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != changed.fingerprint
    other.add(INTENT, ["a"])
    assert one.fingerprint != other.fingerprint


def test_the_fingerprint_sees_into_features_of_texts() -> None:
    def made(weight: float) -> str:
        ids, weights, dense = (
            np.ones((1, 1), np.int32),
            np.full((1, 1), weight, np.float32),
            np.zeros((1, 0), np.float32),
        )
        some = TextFeatures(ids, weights, ids[0], weights[0], dense, dense[0])
        features = FeatureStore({TEXT: lambda text: some})
        features.add(TEXT, ["a"])
        return features.fingerprint

    assert made(1.0) == made(1.0)
    assert made(1.0) != made(2.0)


def test_with_a_limit_the_latest_used_stay() -> None:
    features, counting = store(limit=2)
    for value in ("a", "b", "a", "c", "a", "b"):
        features.features(TEXT, value)
    assert counting.asked == ["a", "b", "c", "b"]
    assert features.values(TEXT) == ("a", "b")


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one, not 0"):
        store(limit=0)
