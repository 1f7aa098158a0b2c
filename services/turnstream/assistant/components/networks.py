"""Options of the trained networks: DIET, the response selector, TED and UnexpecTED.

Sources: DIET https://arxiv.org/abs/2004.09936, TED https://arxiv.org/abs/1910.00486.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from turnstream.assistant.components.base import ComponentOptions, PolicyOptions, register
from turnstream.assistant.components.featurizers import SplitByComma

BatchSize = int | tuple[int, int]
TED_ATTRIBUTES = ("text", "action_text", "label_action_text")
CATEGORIES = ("intent", "action_name", "label_action_name", "entities", "slots", "active_loop")
RENAMED_KEYS = {
    "num_neg": "number_of_negative_examples",
    "num_heads": "number_of_attention_heads",
    "num_transformer_layers": "number_of_transformer_layers",
    "embed_dim": "embedding_dimension",
    "dense_dim": "dense_dimension",
    "droprate": "drop_rate",
    "mu_pos": "maximum_positive_similarity",
    "mu_neg": "maximum_negative_similarity",
    "use_max_sim_neg": "use_maximum_negative_similarity",
    "C2": "regularization_constant",
    "C_emb": "negative_margin_scale",
    "evaluate_every_num_epochs": "evaluate_every_number_of_epochs",
    "evaluate_on_num_examples": "evaluate_on_number_of_examples",
}
"""What keys of Rasa 1 are called today."""


def _layers(*names: str, sizes: tuple[int, ...] = ()) -> Any:
    return field(default_factory=lambda: dict.fromkeys(names, sizes))


def _sizes(**sizes: int) -> Any:
    return field(default_factory=lambda: dict(sizes))


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(ComponentOptions):
    """Keys that all networks share. `batch_size` is constant, or grows linearly over the epochs from first to second.

    `ranking_length` 0 means all. `evaluate_on_number_of_examples` is the size of the held-out set, which is evaluated
    every `evaluate_every_number_of_epochs` (-1: after the last only). `early_stopping_patience`, a key of ours: after
    how many evaluations without a better result training ends; None: never.
    """

    ignored_keys: ClassVar[Mapping[str, str]] = {
        "num_threads": "Threads are not set in the pipeline.",
        "use_gpu": "A GPU is used where there is one.",
        "weight_sparsity": "Use 'connection_density' (1 - sparsity).",
        **{old: f"It is called '{new}' today." for old, new in RENAMED_KEYS.items()},
    }

    number_of_attention_heads: int = 4
    use_key_relative_attention: bool = False
    use_value_relative_attention: bool = False
    max_relative_position: int | None = 5
    unidirectional_encoder: bool = False
    batch_size: BatchSize = (64, 256)
    batch_strategy: Literal["balanced", "sequence"] = "balanced"
    epochs: int = 300
    random_seed: int | None = None
    learning_rate: float = 0.001
    embedding_dimension: int = 20
    number_of_negative_examples: int = 20
    similarity_type: Literal["auto", "cosine", "inner"] = "auto"
    loss_type: Literal["cross_entropy", "margin", "softmax"] = "cross_entropy"
    ranking_length: int = 10
    maximum_positive_similarity: float = 0.8
    maximum_negative_similarity: float = -0.4
    use_maximum_negative_similarity: bool = True
    scale_loss: bool = False
    regularization_constant: float = 0.002
    negative_margin_scale: float = 0.8
    connection_density: float = 0.2
    drop_rate: float = 0.2
    drop_rate_attention: float = 0.0
    use_sparse_input_dropout: bool = True
    use_dense_input_dropout: bool = True
    use_masked_language_model: bool = False
    evaluate_every_number_of_epochs: int = 20
    evaluate_on_number_of_examples: int = 0
    early_stopping_patience: int | None = None
    tensorboard_log_directory: str | None = None
    tensorboard_log_level: Literal["epoch", "batch", "minibatch"] = "epoch"
    checkpoint_model: bool = False
    featurizers: tuple[str, ...] = ()
    constrain_similarities: bool = False
    model_confidence: Literal["softmax"] = "softmax"
    renormalize_confidences: bool = False
    run_eagerly: bool = False

    def find_faults(self) -> Iterator[tuple[str, str]]:
        sizes = (self.batch_size,) if isinstance(self.batch_size, int) else self.batch_size
        if min(sizes) < 1:
            yield "batch_size", f"'batch_size' must be at least 1, not {self.batch_size!r}."
        yield from self._find_wrong_sizes()
        if self.epochs < 0:
            yield "epochs", f"'epochs' must not be negative, not {self.epochs}."
        if not 0.0 < self.connection_density <= 1.0:
            yield "connection_density", f"'connection_density' must be in (0, 1], not {self.connection_density}."
        if self.early_stopping_patience is not None:
            if self.early_stopping_patience < 1:
                yield "early_stopping_patience", "'early_stopping_patience' must be at least 1."
            if self.evaluate_on_number_of_examples < 1:
                what = "'early_stopping_patience' needs held-out examples: set 'evaluate_on_number_of_examples'."
                yield "early_stopping_patience", what
        for key in ("drop_rate", "drop_rate_attention", "drop_rate_dialogue", "drop_rate_label"):
            if hasattr(self, key) and not 0.0 <= getattr(self, key) < 1.0:
                yield key, f"'{key}' must be in [0, 1), not {getattr(self, key)}."

    def _find_wrong_sizes(self) -> Iterator[tuple[str, str]]:
        for key, least in _LEAST.items():
            for name, value in _values(getattr(self, key, None)):
                if value is not None and value < least:
                    what = "more than 0" if least == _POSITIVE else f"at least {least}"
                    yield key, f"'{key}'{name} must be {what}, not {value}."
        yield from self._find_wrong_transformers(self.number_of_attention_heads)

    def _find_wrong_transformers(self, heads: int) -> Iterator[tuple[str, str]]:
        """Where there are no layers their size is no matter."""
        key, layers = "transformer_size", dict(_values(getattr(self, "number_of_transformer_layers", None)))
        for name, size in _values(getattr(self, key, None)):
            if size is None or not layers.get(name):
                continue
            if size < 1:
                yield key, f"'{key}'{name} must be at least 1, not {size}."
            elif heads > 0 and size % heads:
                yield key, f"'{key}'{name} is {size}, which {heads} heads cannot share equally."


_POSITIVE = 1e-12
_LEAST: Mapping[str, float] = {
    "number_of_attention_heads": 1,
    "number_of_transformer_layers": 0,
    "max_relative_position": 1,
    "embedding_dimension": 1,
    "dense_dimension": 1,
    "concat_dimension": 1,
    "encoding_dimension": 1,
    "hidden_layers_sizes": 1,
    "number_of_negative_examples": 0,
    "evaluate_on_number_of_examples": 0,
    "regularization_constant": 0,
    "learning_rate": _POSITIVE,
}


def _values(given: Any) -> Iterator[tuple[str, Any]]:
    """What a key holds, each with how a fault names it: of an attribute, of a layer."""
    if isinstance(given, Mapping):
        for attribute, value in given.items():
            sizes = value if isinstance(value, tuple) else (value,)
            yield from ((f" of '{attribute}'", size) for size in sizes)
    else:
        yield "", given


@register
@dataclass(frozen=True, kw_only=True)
class DIETClassifierOptions(NetworkOptions):
    component_name = "DIETClassifier"

    hidden_layers_sizes: Mapping[str, tuple[int, ...]] = _layers("text", "label")
    share_hidden_layers: bool = False
    transformer_size: int | None = 256
    number_of_transformer_layers: int = 2
    dense_dimension: Mapping[str, int] = _sizes(text=128, label=20)
    concat_dimension: Mapping[str, int] = _sizes(text=128, label=20)
    intent_classification: bool = True
    entity_recognition: bool = True
    BILOU_flag: bool = True
    split_entities_by_comma: SplitByComma = True

    def find_faults(self) -> Iterator[tuple[str, str]]:
        yield from NetworkOptions.find_faults(self)
        if not (self.intent_classification or self.entity_recognition):
            yield "entity_recognition", "'intent_classification' and 'entity_recognition' are both false."


@register
@dataclass(frozen=True, kw_only=True)
class ResponseSelectorOptions(NetworkOptions):
    """`retrieval_intent` None: one selector over all retrieval intents, also those that others are for."""

    component_name = "ResponseSelector"
    ignored_keys: ClassVar[Mapping[str, str]] = {
        **NetworkOptions.ignored_keys,
        **dict.fromkeys(
            ("intent_classification", "entity_recognition", "BILOU_flag", "split_entities_by_comma"),
            "It is DIETClassifier's.",
        ),
    }

    hidden_layers_sizes: Mapping[str, tuple[int, ...]] = _layers("text", "label", sizes=(256, 128))
    share_hidden_layers: bool = False
    transformer_size: int | None = None
    number_of_transformer_layers: int = 0
    dense_dimension: Mapping[str, int] = _sizes(text=512, label=512)
    concat_dimension: Mapping[str, int] = _sizes(text=512, label=512)
    scale_loss: bool = True
    use_sparse_input_dropout: bool = False
    use_dense_input_dropout: bool = False
    retrieval_intent: str | None = None
    use_text_as_label: bool = False


@dataclass(frozen=True, kw_only=True)
class NetworkPolicyOptions(NetworkOptions, PolicyOptions):
    """What TED and UnexpecTED share. `max_history` counts states, None is the whole dialogue.

    `featurizer` is Rasa's way to set `max_history` on a MaxHistoryTrackerFeaturizer.
    """

    ignored_keys: ClassVar[Mapping[str, str]] = {
        **NetworkOptions.ignored_keys,
        "max_training_samples": "All samples are used.",
        "validation_split": "Use 'evaluate_on_number_of_examples'.",
        "rnn_size": "Use 'transformer_size'.",
    }

    max_history: int | None = None
    featurizer: tuple[Mapping[str, Any], ...] = ()
    encoding_dimension: int = 50
    epochs: int = 1
    scale_loss: bool = True
    regularization_constant: float = 0.001
    drop_rate: float = 0.0
    drop_rate_dialogue: float = 0.1
    drop_rate_label: float = 0.0

    @property
    def history_window(self) -> int | None:
        """The states that count: `max_history`, or that of a configured MaxHistoryTrackerFeaturizer."""
        configured = [f.get("max_history") for f in self.featurizer]
        return self.max_history if self.max_history is not None else next(iter(configured), None)

    def find_faults(self) -> Iterator[tuple[str, str]]:
        yield from NetworkOptions.find_faults(self)
        if self.max_history is not None and self.max_history < 1:
            yield "max_history", f"'max_history' must be at least 1 or null, not {self.max_history}."


@register
@dataclass(frozen=True, kw_only=True)
class TEDPolicyOptions(NetworkPolicyOptions):
    component_name = "TEDPolicy"

    hidden_layers_sizes: Mapping[str, tuple[int, ...]] = _layers(*TED_ATTRIBUTES)
    dense_dimension: Mapping[str, int] = field(
        default_factory=lambda: {**dict.fromkeys(TED_ATTRIBUTES, 128), **dict.fromkeys(CATEGORIES, 20)}
    )
    concat_dimension: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TED_ATTRIBUTES, 128))
    transformer_size: Mapping[str, int] = field(
        default_factory=lambda: dict.fromkeys((*TED_ATTRIBUTES, "dialogue"), 128)
    )
    number_of_transformer_layers: Mapping[str, int] = field(
        default_factory=lambda: dict.fromkeys((*TED_ATTRIBUTES, "dialogue"), 1)
    )
    ranking_length: int = 0
    e2e_confidence_threshold: float = 0.5
    entity_recognition: bool = True
    BILOU_flag: bool = True
    split_entities_by_comma: SplitByComma = True


@register
@dataclass(frozen=True, kw_only=True)
class UnexpecTEDIntentPolicyOptions(NetworkPolicyOptions):
    """`tolerance` in [0, 1]: an intent's threshold is the (1 - tolerance) quantile of its scores on dialogues that
    have another intent; below it the intent is unlikely.
    """

    component_name = "UnexpecTEDIntentPolicy"

    priority: int = 2
    similarity_type: Literal["auto", "cosine", "inner"] = "inner"
    hidden_layers_sizes: Mapping[str, tuple[int, ...]] = _layers("text")
    dense_dimension: Mapping[str, int] = _sizes(
        text=128, intent=20, label_intent=20, action_name=20, entities=20, slots=20, active_loop=20
    )
    concat_dimension: Mapping[str, int] = _sizes(text=128)
    transformer_size: Mapping[str, int] = _sizes(text=128, dialogue=128)
    number_of_transformer_layers: Mapping[str, int] = _sizes(text=1, dialogue=1)
    ignore_intents_list: tuple[str, ...] = ()
    tolerance: float = 0.0

    def find_faults(self) -> Iterator[tuple[str, str]]:
        yield from NetworkPolicyOptions.find_faults(self)
        if not 0.0 <= self.tolerance <= 1.0:
            yield "tolerance", f"'tolerance' must be between 0 and 1, not {self.tolerance}."
