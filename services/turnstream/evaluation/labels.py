"""How well predicted labels agree with the right ones: precision, recall and F1 by label and on average.

Definitions: https://scikit-learn.org/stable/modules/model_evaluation.html#precision-recall-and-f-measures.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """Each in [0, 1], 0 where it is undefined; `support` is how often the label is right."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class LabelReport:
    """`confusions[label]` are the labels predicted in its place, the most frequent first.

    `micro` counts all decisions alike; it equals `accuracy` where no label that was predicted is left out.
    """

    scores: Mapping[str, Score]
    confusions: Mapping[str, Mapping[str, int]]
    accuracy: float
    micro: Score
    macro: Score
    weighted: Score


def label_report(right: Sequence[str], predicted: Sequence[str], *, without: str | None = None) -> LabelReport:
    """Compare two sequences of the same length; the label `without` is no class of its own, only the lack of one.

    As in the peer's reports, a label that is never right has no row and counts in no mean.
    """
    pairs = Counter(zip(right, predicted, strict=True))
    labels = sorted(set(right) - {without})
    of_right, of_predicted = Counter(right), Counter(predicted)
    hits = {label: pairs[label, label] for label in labels}
    scores = {label: _score(hits[label], of_predicted[label], of_right[label]) for label in labels}
    support = sum(score.support for score in scores.values())
    micro = _score(sum(hits.values()), sum(of_predicted[label] for label in labels), support)
    accuracy = sum(count for (a, b), count in pairs.items() if a == b) / max(1, len(right))
    macro = _mean(scores, dict.fromkeys(labels, 1.0), support)
    weighted = _mean(scores, {label: float(score.support) for label, score in scores.items()}, support)
    return LabelReport(scores, _confusions(pairs, without), accuracy, micro, macro, weighted)


def _score(hits: int, predicted: int, right: int) -> Score:
    precision = hits / predicted if predicted else 0.0
    recall = hits / right if right else 0.0
    f1 = 2 * hits / (predicted + right) if predicted + right else 0.0
    return Score(precision, recall, f1, right)


def _mean(scores: Mapping[str, Score], weights: Mapping[str, float], support: int) -> Score:
    total = sum(weights.values()) or 1.0

    def mean(name: str) -> float:
        return sum(float(getattr(score, name)) * weights[label] for label, score in scores.items()) / total

    return Score(mean("precision"), mean("recall"), mean("f1"), support)


def _confusions(pairs: Mapping[tuple[str, str], int], without: str | None) -> Mapping[str, Mapping[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (right, predicted), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        if right != predicted and without not in (right, predicted):
            found[right][predicted] = count
    return found


def report_json(report: LabelReport, *, most_confusions: int = 3) -> dict[str, Any]:
    """In the shape of the peer's `intent_report.json`."""
    rows: dict[str, Any] = {}
    for label, score in report.scores.items():
        confused = dict(list(report.confusions.get(label, {}).items())[:most_confusions])
        rows[label] = _row(score) | {"confused_with": confused}
    rows["accuracy"] = report.accuracy
    averages = {"macro avg": report.macro, "weighted avg": report.weighted, "micro avg": report.micro}
    return rows | {name: _row(score) for name, score in averages.items()}


def _row(score: Score) -> dict[str, float]:
    return {"precision": score.precision, "recall": score.recall, "f1-score": score.f1, "support": score.support}
