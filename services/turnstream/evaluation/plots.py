"""Pictures of reports, by matplotlib where it is installed (`pip install 'turnstream[reports]'`)."""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BINS = 25
MOST_LABELS = 150
"""Of a confusion matrix that can still be read."""


class Plots:
    """Draws without a display."""

    @staticmethod
    def are_possible() -> bool:
        return importlib.util.find_spec("matplotlib") is not None

    def confusion_matrix(self, path: Path, decisions: Sequence[tuple[str, ...]]) -> None:
        """Rows are the right labels, columns the predicted ones; those that are in most confusions, where many are."""
        pairs = Counter((right, predicted) for right, predicted in decisions)
        labels = _most_confused(pairs)
        figure, axes = _figure(4 + 0.22 * len(labels))
        counts = [[pairs[right, predicted] for predicted in labels] for right in labels]
        image = axes.imshow(counts, cmap="Blues", norm=_log_norm(counts))
        figure.colorbar(image, ax=axes, shrink=0.6)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        axes.set_xlabel("predicted")
        axes.set_ylabel("right")
        for row, line in enumerate(counts):
            for column, count in enumerate(line):
                if count:
                    axes.text(column, row, str(count), ha="center", va="center", fontsize=6)
        _save(figure, path)

    def histogram(self, path: Path, decisions: Sequence[tuple[bool, float]]) -> None:
        """How sure right predictions were, and wrong ones."""
        figure, axes = _figure(6)
        right = [confidence for is_right, confidence in decisions if is_right]
        wrong = [confidence for is_right, confidence in decisions if not is_right]
        axes.hist([right, wrong], bins=BINS, range=(0, 1), label=["right", "wrong"], color=["#4477aa", "#cc6677"])
        axes.set_xlabel("confidence")
        axes.set_ylabel("predictions")
        axes.legend()
        _save(figure, path)


def _most_confused(pairs: "Counter[tuple[str, str]]") -> list[str]:
    labels = sorted({label for pair in pairs for label in pair})
    if len(labels) <= MOST_LABELS:
        return labels
    wrong: Counter[str] = Counter()
    for (right, predicted), count in pairs.items():
        if right != predicted:
            wrong.update({right: count, predicted: count})
    return sorted(sorted(labels, key=lambda label: -wrong[label])[:MOST_LABELS])


def _figure(size_inches: float) -> tuple[Any, Any]:
    # No pyplot: it would look for a display, and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size_inches, size_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _log_norm(counts: Sequence[Sequence[int]]) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(vmin=1, vmax=max(2, *(count for line in counts for count in line)), clip=True)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=100)
