"""Precision, recall and F1, held against figures worked out by hand."""

import pytest
from turnstream.evaluation.labels import label_report, report_json

RIGHT = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "a", "b"]


def test_scores_by_label_and_their_means() -> None:
    report = label_report(RIGHT, PREDICTED)
    a, b, c = (report.scores[label] for label in "abc")
    assert (a.precision, a.recall, a.f1, a.support) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert (b.precision, b.recall, b.f1, b.support) == pytest.approx((1 / 3, 1 / 2, 2 / 5, 2))
    assert (c.precision, c.recall, c.f1, c.support) == (0.0, 0.0, 0.0, 1)
    assert report.accuracy == report.micro.f1 == pytest.approx(1 / 2)
    assert report.macro.f1 == pytest.approx((2 / 3 + 2 / 5) / 3)
    assert report.weighted.f1 == pytest.approx((3 * 2 / 3 + 2 * 2 / 5) / 6)
    assert report.confusions == {"a": {"b": 1}, "b": {"a": 1}, "c": {"b": 1}}


def test_label_that_means_nothing_counts_in_no_mean() -> None:
    report = label_report(["-", "-", "x", "x"], ["-", "x", "x", "-"], without="-")
    assert set(report.scores) == {"x"}
    assert (report.micro.precision, report.micro.recall, report.micro.support) == (0.5, 0.5, 2)
    assert not report.confusions


def test_label_that_is_never_right_has_no_row_and_counts_in_no_mean() -> None:
    report = label_report(["a", "a"], ["a", "fallback"])
    assert set(report.scores) == {"a"}
    assert (report.micro.precision, report.micro.recall, report.accuracy) == (1.0, 0.5, 0.5)
    assert (report.macro.precision, report.confusions) == (1.0, {"a": {"fallback": 1}})


def test_json_has_the_peers_keys() -> None:
    written = report_json(label_report(RIGHT, PREDICTED))
    assert written["b"]["confused_with"] == {"a": 1}
    assert set(written["a"]) == {"precision", "recall", "f1-score", "support", "confused_with"}
    assert {"accuracy", "macro avg", "weighted avg", "micro avg"} <= set(written)
