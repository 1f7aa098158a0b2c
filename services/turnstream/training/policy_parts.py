"""The networks of the policies as parts of a bundle: TED and UnexpecTED."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from turnstream.assistant.bundle import BundleWriter
from turnstream.assistant.components import (
    NetworkPolicyOptions,
    TEDPolicyOptions,
    UnexpecTEDIntentPolicyOptions,
    options_to_json,
)
from turnstream.assistant.domain import Domain
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.states import StateEncoder
from turnstream.models.dialogue_data import dialogue_data, intent_data
from turnstream.models.training_loop import ProgressCallback
from turnstream.training.dialogues import TrainingDialogue, TrainingDialogues
from turnstream.training.finetuning import WEIGHTS_DIR, Start
from turnstream.training.fingerprints import fingerprint
from turnstream.training.parts import Part
from turnstream.training.policies import ModelPolicy, PolicyArtifacts
from turnstream.training.story_texts import LearntTexts, story_texts


def policy_parts(
    tables: PolicyArtifacts,
    dialogues: TrainingDialogues,
    domain: Domain,
    pipeline: FeaturePipeline,
    data_fingerprint: str,
    start: Start | None = None,
) -> Iterator[Part]:
    """A part for each policy with a network. `data_fingerprint` stands for stories, rules and domain, and where stories
    have texts for what `pipeline` was fitted on.
    """
    for number, policy in enumerate(tables.models):
        options = policy.options
        kind = _KINDS[type(options)]
        model = kind.model if number == _first(tables.models, type(options)) else f"{kind.model}-{number}"
        key = fingerprint(data_fingerprint, options_to_json(options))
        build = kind(policy, model, dialogues, domain, pipeline, start)
        yield Part(f"{kind.label} ({model})", key, model, build, (policy.part,))


def _first(policies: Sequence[ModelPolicy], kind: type[NetworkPolicyOptions]) -> int:
    return next(number for number, policy in enumerate(policies) if type(policy.options) is kind)


class _Builder:
    label = ""
    model = ""

    def __init__(
        self,
        policy: ModelPolicy,
        model: str,
        dialogues: TrainingDialogues,
        domain: Domain,
        pipeline: FeaturePipeline,
        start: Start | None,
    ) -> None:
        self._policy = policy
        self._model = model
        self._dialogues: tuple[TrainingDialogue, ...] = dialogues.for_models
        self._domain = domain
        self._start = start.model(model) if start else None
        self._before: Mapping[str, Any] = start.policy_entry(policy.part) if start and self._start else {}
        self._encoder = StateEncoder.of(domain, earlier=start.encoder(policy.part) if start and self._start else None)
        # Here, since components of the author's own need not survive being sent to another process.
        self._learnt = self._texts(pipeline)

    def _texts(self, pipeline: FeaturePipeline) -> LearntTexts | None:
        """What is learnt of the texts of stories."""
        return None

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        raise NotImplementedError

    def _labels(self, key: str, found: Iterable[str]) -> tuple[str, ...]:
        """The labels that the earlier model has, and then the new ones."""
        return tuple(dict.fromkeys([*self._before.get(key, ()), *found]))

    def _write(self, writer: BundleWriter, **content: Any) -> None:
        part = {"model": self._model, "encoder": self._encoder.to_json()} | content
        writer.write_json(self._policy.part, part)


class _TedBuilder(_Builder):
    label = "next actions"
    model = "ted"

    def _texts(self, pipeline: FeaturePipeline) -> LearntTexts | None:
        options = self._policy.options
        assert isinstance(options, TEDPolicyOptions)
        return story_texts(self._dialogues, self._domain.e2e_actions, pipeline, options, self._before)

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        # TensorFlow takes seconds to import, which a project without networks should not wait for.
        from turnstream.models.ted import train_ted

        options = self._policy.options
        assert isinstance(options, TEDPolicyOptions)
        actions, start = self._labels("actions", self._domain.action_names), self._start
        pairs = [(dialogue.states, _learned(dialogue)) for dialogue in self._dialogues]
        learnt = self._learnt
        texts = learnt.texts if learnt is not None else None
        data = dialogue_data(pairs, self._encoder, actions, options.history_window, texts)
        options = start.shortened(options) if start else options
        model = train_ted(data, options, progress=progress, start=start.weights if start else None)
        model.export(writer.add_model(self._model))
        model.save(writer.path(f"{WEIGHTS_DIR}/{self._model}"))
        content: dict[str, Any] = {"actions": list(actions)}
        if learnt is not None:
            content["encoder"] = self._encoder.with_action_texts(learnt.texts.sizes.action_texts).to_json()
        if learnt is not None and learnt.part is not None:
            content["texts"] = learnt.part
        self._write(writer, **content)


class _UnexpectedIntentBuilder(_Builder):
    label = "unlikely intents"
    model = "unexpected_intent"

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        from turnstream.models.unexpected_intent import train_unexpected_intent

        options = self._policy.options
        assert isinstance(options, UnexpecTEDIntentPolicyOptions)
        stories, start = [dialogue.states for dialogue in self._dialogues], self._start
        data = intent_data(
            stories, self._encoder, self._labels("intents", self._domain.intents), options.history_window
        )
        options = start.shortened(options) if start else options
        model = train_unexpected_intent(data, options, progress=progress, start=start.weights if start else None)
        model.export(writer.add_model(self._model))
        model.save(writer.path(f"{WEIGHTS_DIR}/{self._model}"))
        self._write(writer, intents=list(model.intents), thresholds=dict(model.thresholds))


_KINDS: dict[type[NetworkPolicyOptions], type[_Builder]] = {
    TEDPolicyOptions: _TedBuilder,
    UnexpecTEDIntentPolicyOptions: _UnexpectedIntentBuilder,
}


def _learned(dialogue: TrainingDialogue) -> tuple[str | None, ...]:
    """The action after each state; None where nothing precedes it, so that it cannot be predicted."""
    known = zip(dialogue.actions, dialogue.predictable, strict=True)
    return tuple(action if predictable else None for action, predictable in known)
