"""The networks of NLU as parts of a bundle: DIET and the response selectors."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from turnstream.assistant.bundle import BundleWriter
from turnstream.assistant.components import (
    CRFEntityExtractorOptions,
    LogisticRegressionClassifierOptions,
    options_to_json,
)
from turnstream.assistant.components.custom import load_class
from turnstream.assistant.nlu_data import Example, NluData
from turnstream.features.custom_component import CustomComponent, TrainingMessage
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.training_data import CrfData, IntentData
from turnstream.features.understanding import Understanding
from turnstream.models.training_loop import ProgressCallback
from turnstream.training.finetuning import WEIGHTS_DIR
from turnstream.training.fingerprints import fingerprint
from turnstream.training.nlu_components import (
    CustomTraining,
    DietTraining,
    LinearTraining,
    NluArtifacts,
    SelectorTraining,
)
from turnstream.training.parts import Part

if TYPE_CHECKING:
    from turnstream.models.trained import TrainedModel

Train = Callable[..., "TrainedModel[Any, Any]"]


def nlu_parts(nlu: NluArtifacts, data_fingerprint: str, data: NluData | None = None) -> Iterator[Part]:
    """A part for each component that has something to learn. `data_fingerprint` stands for pipeline and NLU data.

    data: what the components of the author's own are given.
    """
    for custom in nlu.custom:
        # What its code says cannot be told from the config: it is trained each time.
        builder = _CustomBuilder(custom, nlu.pipeline, data or NluData())
        yield Part(f"{custom.options.path} ({custom.folder})", "", None, builder)
    for diet in nlu.diets:
        if diet.data is not None:
            key = fingerprint(data_fingerprint, options_to_json(diet.options))
            yield Part(f"intents and entities ({diet.model})", key, diet.model, _NetworkBuilder(diet, _diet))
    for linear in nlu.linear:
        if linear.data is not None:
            key = fingerprint(data_fingerprint, options_to_json(linear.options))
            label = f"{linear.options.component_name} ({linear.file})"
            yield Part(label, key, None, _LinearBuilder(linear), (linear.file,))
    for selector in nlu.selectors:
        if selector.data is not None:
            key = fingerprint(data_fingerprint, options_to_json(selector.options))
            yield Part(f"responses ({selector.name})", key, selector.model, _NetworkBuilder(selector, _selector))


class _CustomBuilder:
    def __init__(self, training: CustomTraining, pipeline: FeaturePipeline, data: NluData) -> None:
        self._training = training
        self._pipeline = pipeline
        self._data = data

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        options = self._training.options
        folder = writer.path(self._training.folder)
        folder.mkdir(parents=True, exist_ok=True)
        component: CustomComponent = load_class(options.path)(options.options)
        component.train([self._message(example) for example in self._data.examples], folder)

    def _message(self, example: Example) -> TrainingMessage:
        featurized = self._pipeline.featurize(example.text)
        return TrainingMessage(example, Understanding(example.text, featurized.tokens, featurized.features))


class _LinearBuilder:
    def __init__(self, training: LinearTraining) -> None:
        self._training = training

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        training = self._training
        match training.data, training.options:
            case IntentData() as data, LogisticRegressionClassifierOptions() as options:
                from turnstream.training.logistic_regression import train_logistic_regression

                train_logistic_regression(data, training.spec, options).save(writer.path(training.file))
            case CrfData() as data, CRFEntityExtractorOptions() as options:
                from turnstream.training.crf import train_crf

                chains = train_crf(data, options)
                writer.write_json(training.file, {name: chain.to_json() for name, chain in chains.items()})


class _NetworkBuilder:
    """`find` imports what trains: TensorFlow takes seconds, which a project without networks should not wait for."""

    def __init__(self, training: DietTraining | SelectorTraining, find: Callable[[], Train]) -> None:
        self._training = training
        self._find = find

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        training, start = self._training, self._training.start
        model = self._find()(
            training.data,
            training.spec,
            start.shortened(training.options) if start else training.options,
            progress=progress,
            start=start.weights if start else None,
        )
        model.export(writer.add_model(training.model))
        model.save(writer.path(f"{WEIGHTS_DIR}/{training.model}"))


def _diet() -> Train:
    from turnstream.models.diet import train_diet

    return train_diet


def _selector() -> Train:
    from turnstream.models.selector import train_selector

    return train_selector
