"""BERT (Devlin et al. 2018, arXiv:1810.04805) in numpy: sentence and subword vectors of short texts on a processor.

A message has a dozen subwords: that takes milliseconds without a deep-learning framework in the service.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from turnstream.features.arrays import Floats


class LanguageModelError(ValueError):
    """A folder holds no language model that can be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Subword:
    """Characters `start` to `end` (exclusive) of the text."""

    start: int
    end: int


class Bert:
    """A model in a folder as Hugging Face lays it out: `config.json`, `model.safetensors`, `tokenizer.json`.

    Raises LanguageModelError where a file is missing, or the model is of another kind.
    """

    def __init__(self, folder: Path) -> None:
        # An extra: services without a language model do without these packages.
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            what = f"{error.name} is not installed: pip install 'turnstream[language-model]'"
            raise LanguageModelError(what) from error
        config = _config(folder)
        weights_file, tokenizer_file = folder / "model.safetensors", folder / "tokenizer.json"
        for file in (weights_file, tokenizer_file):
            if not file.is_file():
                raise LanguageModelError(f"{file} is missing")
        self._heads: int = config["num_attention_heads"]
        self._layers: int = config["num_hidden_layers"]
        self._epsilon: float = config.get("layer_norm_eps", 1e-12)
        self.width: int = config["hidden_size"]
        self._weights: dict[str, Floats] = {
            name.removeprefix("bert."): value.astype(np.float32) for name, value in load_file(weights_file).items()
        }
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(config["max_position_embeddings"])
        self._takes_mean = _takes_mean(folder)

    def encode(self, text: str) -> tuple[list[Subword], Floats, Floats]:
        """The subwords of a text, their vectors [subwords, width] without the special ones, and the sentence's [width].

        The sentence's vector is the mean of all, or the first one, as the model says; of length 1 where it is the mean.
        """
        encoding = self._tokenizer.encode(text)
        vectors = self._run(np.array(encoding.ids, np.int64))
        real = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
        subwords = [Subword(*encoding.offsets[place]) for place in real]
        sentence = vectors.mean(0) if self._takes_mean else vectors[0]
        if self._takes_mean:
            sentence = sentence / max(float(np.linalg.norm(sentence)), 1e-12)
        return subwords, vectors[real], sentence.astype(np.float32)

    def _run(self, ids: Any) -> Floats:
        """[subwords] -> [subwords, width]."""
        weights = self._weights
        rows = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        rows = self._normalized(rows, "embeddings.LayerNorm")
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            seen = self._dense(self._attend(rows, f"{name}.attention.self"), f"{name}.attention.output.dense")
            rows = self._normalized(rows + seen, f"{name}.attention.output.LayerNorm")
            wide = _gelu(self._dense(rows, f"{name}.intermediate.dense"))
            rows = self._normalized(rows + self._dense(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return rows

    def _attend(self, rows: Floats, name: str) -> Floats:
        size = self.width // self._heads
        query, key, value = (
            self._dense(rows, f"{name}.{part}").reshape(len(rows), self._heads, size).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(size))
        exponents = np.exp(scores - scores.max(-1, keepdims=True))
        seen = exponents / exponents.sum(-1, keepdims=True) @ value
        joined: Floats = seen.transpose(1, 0, 2).reshape(len(rows), self.width)
        return joined

    def _dense(self, rows: Floats, name: str) -> Floats:
        result: Floats = rows @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return result

    def _normalized(self, rows: Floats, name: str) -> Floats:
        centred = rows - rows.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self._epsilon)
        result: Floats = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return result


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LanguageModelError(f"{folder / 'config.json'} cannot be read: {error}") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "bert" or config.get("hidden_act", "gelu") != "gelu":
        raise LanguageModelError(f"{folder} holds a model of the type {kind!r}; BERT models are run ('bert')")
    known: Mapping[str, Any] = config
    return known


def _takes_mean(folder: Path) -> bool:
    """Whether the model is one of sentences whose vectors are means (sentence-transformers)."""
    pooling = folder / "1_Pooling" / "config.json"
    return pooling.is_file() and bool(json.loads(pooling.read_text(encoding="utf-8")).get("pooling_mode_mean_tokens"))


def _gelu(values: Floats) -> Floats:
    """x Phi(x), with erf by 7.1.26 of Abramowitz and Stegun 1964 (error below 1.5e-7)."""
    scaled = np.abs(values) * np.float32(0.7071067811865476)
    t = 1.0 / (1.0 + np.float32(0.3275911) * scaled)
    powers = 0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    erf = np.sign(values) * (1.0 - t * powers * np.exp(-scaled * scaled))
    result: Floats = (0.5 * values * (1.0 + erf)).astype(np.float32)
    return result
