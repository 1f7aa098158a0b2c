"""Training of a CRFEntityExtractor: a CRF for entities, and one each for roles and groups, by CRFsuite.

Okazaki 2007, https://www.chokkan.org/software/crfsuite/.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycrfsuite

from turnstream.assistant.components import CRFEntityExtractorOptions
from turnstream.features.crf_features import TokenFeatures
from turnstream.features.linear_chain import LinearChain
from turnstream.features.training_data import CrfData


def train_crf(data: CrfData, options: CRFEntityExtractorOptions) -> dict[str, LinearChain]:
    """A chain for each tagger."""
    return {name: _train(sequences, data.tags[name], options) for name, sequences in data.sequences.items()}


def _train(
    sequences: Sequence[Sequence[TokenFeatures]], tags: Sequence[Sequence[str]], options: CRFEntityExtractorOptions
) -> LinearChain:
    """Maximum likelihood with L1 and L2 penalties, by L-BFGS."""
    trainer = pycrfsuite.Trainer(verbose=False)
    for sequence, sequence_tags in zip(sequences, tags, strict=True):
        trainer.append(pycrfsuite.ItemSequence(sequence), sequence_tags)
    trainer.select("lbfgs")
    trainer.set_params(
        {
            "c1": options.L1_c,
            "c2": options.L2_c,
            "max_iterations": options.max_iterations,
            "feature.possible_transitions": True,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "model.crfsuite")
        trainer.train(file)
        tagger = pycrfsuite.Tagger()
        with tagger.open(file):
            return _chain(tagger.info())


def _chain(info: Any) -> LinearChain:
    tags = tuple(sorted(info.labels))
    number = {tag: i for i, tag in enumerate(tags)}
    transitions = np.zeros((len(tags), len(tags)))
    for (before, after), weight in info.transitions.items():
        transitions[number[before], number[after]] = weight
    weights: dict[str, Any] = {}
    for (feature, tag), weight in info.state_features.items():
        weights.setdefault(feature, np.zeros(len(tags)))[number[tag]] = weight
    return LinearChain(tags, transitions, weights)
