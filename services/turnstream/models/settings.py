"""From a component's documented keys to the settings of layers and losses."""

from turnstream.assistant.components import (
    DIETClassifierOptions,
    NetworkOptions,
    ResponseSelectorOptions,
    TEDPolicyOptions,
)
from turnstream.features.arrays import FeatureSpec
from turnstream.models.layers.attention import RelativeAttention
from turnstream.models.layers.transformer import TransformerSettings
from turnstream.models.losses.dot_product import SimilarityLoss
from turnstream.models.text_encoder import TextEncoderSettings

DEFAULT_TRANSFORMER_SIZE = 256


def similarity_loss(options: NetworkOptions) -> SimilarityLoss:
    """`similarity_type: auto` is inner for cross entropy and cosine for the margin loss; softmax is the old name."""
    kind = "margin" if options.loss_type == "margin" else "cross_entropy"
    automatic = "cosine" if kind == "margin" else "inner"
    return SimilarityLoss(
        kind=kind,
        similarity=automatic if options.similarity_type == "auto" else options.similarity_type,
        negatives=options.number_of_negative_examples,
        constrain=options.constrain_similarities,
        scale=options.scale_loss,
        max_positive=options.maximum_positive_similarity,
        max_negative=options.maximum_negative_similarity,
        only_worst=options.use_maximum_negative_similarity,
        margin_scale=options.negative_margin_scale,
    )


def transformer_settings(
    options: NetworkOptions, layers: int, units: int | None, drop_rate: float, unidirectional: bool
) -> TransformerSettings:
    """Without a size layers are `DEFAULT_TRANSFORMER_SIZE` wide, as the response selector documents none."""
    return TransformerSettings(
        layers=layers,
        units=units or DEFAULT_TRANSFORMER_SIZE,
        heads=options.number_of_attention_heads,
        drop_rate=drop_rate,
        attention_drop_rate=options.drop_rate_attention,
        density=options.connection_density,
        unidirectional=unidirectional,
        relative=RelativeAttention(
            keys=options.use_key_relative_attention,
            values=options.use_value_relative_attention,
            max_position=options.max_relative_position or 5,
        ),
    )


def encoder_settings(
    options: DIETClassifierOptions | ResponseSelectorOptions,
    spec: FeatureSpec,
    attribute: str = "text",
    *,
    sentences_only: bool = False,
) -> TextEncoderSettings:
    """The encoder of an attribute, `text` or `label`, which has its own sizes."""
    layers, size = options.number_of_transformer_layers, options.transformer_size
    return _text_encoder_settings(options, spec, attribute, layers, size, sentences_only)


def story_encoder_settings(
    options: TEDPolicyOptions, spec: FeatureSpec, attribute: str, *, sentences_only: bool
) -> TextEncoderSettings:
    """TED's encoder of an attribute of end-to-end stories: `text`, `action_text` or `label_action_text`."""
    layers, size = options.number_of_transformer_layers[attribute], options.transformer_size[attribute]
    return _text_encoder_settings(options, spec, attribute, layers, size, sentences_only)


def _text_encoder_settings(
    options: DIETClassifierOptions | ResponseSelectorOptions | TEDPolicyOptions,
    spec: FeatureSpec,
    attribute: str,
    layers: int,
    size: int | None,
    sentences_only: bool,
) -> TextEncoderSettings:
    return TextEncoderSettings(
        spec=spec,
        units=options.dense_dimension[attribute],
        hidden=options.hidden_layers_sizes[attribute],
        transformer=transformer_settings(options, layers, size, options.drop_rate, options.unidirectional_encoder),
        drop_rate=options.drop_rate,
        density=options.connection_density,
        sparse_dropout=options.use_sparse_input_dropout,
        dense_dropout=options.use_dense_input_dropout,
        sentences_only=sentences_only,
    )
