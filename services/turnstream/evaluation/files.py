"""Reports as files, by the names and in the shapes that users of the peer know."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from turnstream.assistant.annotations import annotated
from turnstream.assistant.stories import StoryEntity, UserStep
from turnstream.assistant.yaml_writer import FORMAT_VERSION, Block, item_yaml
from turnstream.dialogue.events import ActiveLoopChanged, SlotSet
from turnstream.evaluation.cases import entity_cases, intent_case, response_case
from turnstream.evaluation.dialogues import (
    ActionResult,
    DialogueReports,
    DialogueResult,
    GivenStep,
    MessageResult,
    entity_report,
)
from turnstream.evaluation.entities import NO_ENTITY, by_extractor, label_of, token_entities, token_labels
from turnstream.evaluation.labels import LabelReport, report_json
from turnstream.evaluation.nlu import NluReports, Understood
from turnstream.evaluation.plots import Plots


class ReportWriter:
    """Writes into one folder, made where it is missing. `plots` None: no pictures."""

    def __init__(self, folder: Path, *, plots: Plots | None, errors: bool = True, successes: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._plots = plots
        self._errors = errors
        self._successes = successes

    def write_nlu(self, reports: NluReports) -> None:
        if reports.intents is not None:
            self._report("intent", reports.intents)
            told = [one for one in reports.understood if one.example.intent]
            self._cases("intent", [intent_case(one) for one in told])
            self._pictures("intent", [(one.right_intent, one.intent, _confidence(one)) for one in told])
        if reports.responses is not None:
            extra = {"mrr": reports.response_mrr}
            self._report("response_selection", reports.responses, extra)
            asked = [one for one in reports.understood if one.example.is_retrieval]
            self._cases("response_selection", [response_case(one) for one in asked])
            decisions = [(one.example.intent or "", one.response, _response_confidence(one)) for one in asked]
            self._pictures("response_selection", decisions)
        for extractor, report in reports.entities.items():
            self._report(extractor, report)
            self._cases(extractor, list(entity_cases(reports, extractor)))
            self._pictures(extractor, [d for one in reports.understood for d in _entity_decisions(one, extractor)])

    def write_dialogues(self, reports: DialogueReports) -> None:
        total = len(reports.results)
        accuracy = {
            "accuracy": reports.right / max(1, total),
            "correct": reports.right,
            "with_warnings": reports.with_warnings,
            "total": total,
        }
        if reports.labels is not None:
            self._report("story", reports.labels, {"conversation_accuracy": accuracy})
            actions = [action for result in reports.results for action in result.actions]
            self._pictures("story", [(a.right, a.prediction.action, None) for a in actions])
        entities = entity_report(reports.results)
        if entities is not None:
            self._report("story_entities", entities)
        failed = [result for result in reports.results if not result.is_right]
        warned = [result for result in reports.results if result.is_right and result.has_warnings]
        passed = [result for result in reports.results if result.is_right]
        if self._errors:
            self._stories("failed_test_stories.yml", failed)
            self._stories("stories_with_warnings.yml", warned)
        if self._successes:
            self._stories("successful_test_stories.yml", passed)

    def write_json(self, name: str, content: Any) -> None:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (self._folder / name).write_text(text + "\n", encoding="utf-8")

    def _report(self, name: str, report: LabelReport, extra: Mapping[str, Any] | None = None) -> None:
        self.write_json(f"{name}_report.json", report_json(report) | dict(extra or {}))

    def _cases(self, name: str, cases: Sequence[tuple[Mapping[str, Any], bool]]) -> None:
        if self._errors:
            self._list(f"{name}_errors.json", [case for case, is_right in cases if not is_right])
        if self._successes:
            self._list(f"{name}_successes.json", [case for case, is_right in cases if is_right])

    def _list(self, name: str, cases: Sequence[Mapping[str, Any]]) -> None:
        """As from the peer, there is no file of no cases, and none is left of an earlier test."""
        if cases:
            self.write_json(name, cases)
        else:
            (self._folder / name).unlink(missing_ok=True)

    def _pictures(self, name: str, decisions: Sequence[tuple[str, str, float | None]]) -> None:
        if self._plots is None:
            return
        self._plots.confusion_matrix(self._folder / f"{name}_confusion_matrix.png", [d[:2] for d in decisions])
        sure = [
            (right == predicted, confidence) for right, predicted, confidence in decisions if confidence is not None
        ]
        if sure:
            self._plots.histogram(self._folder / f"{name}_histogram.png", sure)

    def _stories(self, name: str, results: Iterable[DialogueResult]) -> None:
        (self._folder / name).write_text(stories_text(results), encoding="utf-8")


def _confidence(one: Understood) -> float:
    return one.parse.intent.confidence or 0.0


def _response_confidence(one: Understood) -> float:
    return one.selected.confidence if one.selected else 0.0


def _entity_decisions(one: Understood, extractor: str) -> Iterator[tuple[str, str, float | None]]:
    """For each token the right label, the predicted one, and how sure the extractor was of it."""
    found = token_entities(one.tokens, by_extractor(one.parse.entities).get(extractor, []))
    for right, entity in zip(token_labels(one.tokens, one.example.entities), found, strict=True):
        yield right, label_of(entity) if entity else NO_ENTITY, entity.confidence if entity else None


def stories_text(results: Iterable[DialogueResult]) -> str:
    """The stories, with what was predicted as comments where it was not what the test says."""
    told = [_story_text(result) for result in results]
    return f'version: "{FORMAT_VERSION}"\nstories:\n{"".join(told)}' if told else "# None of the test stories.\n"


def _story_text(result: DialogueResult) -> str:
    lines = [*item_yaml({"story": result.story.name}).splitlines(), f"  # {result.story.location}", "  steps:"]
    for step in result.steps:
        match step:
            case ActionResult():
                lines += _action_lines(step)
            case MessageResult():
                lines += _message_lines(step)
            case GivenStep():
                lines += _lines(_given(step))
    return "\n".join(lines) + "\n"


def _lines(step: Mapping[str, Any], comment: str = "") -> list[str]:
    """One step; the comment is behind its first line."""
    first, *rest = item_yaml(dict(step)).splitlines()
    return [f"  {first}{comment}", *(f"  {line}" for line in rest)]


def _action_lines(step: ActionResult) -> list[str]:
    if step.right == "action_listen" and step.is_right:
        return []
    comment = "" if step.is_right else f"  # predicted: {step.prediction.action} ({step.prediction.policy})"
    comment += "  # the policies found the message before it unlikely" if step.warned else ""
    return _lines({"bot" if step.is_text else "action": step.right}, comment)


def _message_lines(step: MessageResult) -> list[str]:
    lines = _lines(_user(step.step), "" if step.intent == step.right_intent else f"  # predicted: {step.intent}")
    if not step.has_entities:
        found = " ".join(annotated(step.text, step.entities).split())
        named = [label for label in step.labels if label != NO_ENTITY]
        # Less indented than the text above it, or it would be a part of that.
        lines.append(f"    # predicted entities: {found if named else 'none'}")
    return lines


def _given(step: GivenStep) -> dict[str, Any]:
    match step.said:
        case UserStep():
            return _user(step.said)
        case SlotSet(name=name, value=value):
            return {"slot_was_set": [{name: value}]}
        case ActiveLoopChanged(name=loop):
            return {"active_loop": loop}


def _user(step: UserStep) -> dict[str, Any]:
    found: dict[str, Any] = {"intent": step.intent} if step.intent else {}
    if step.text:
        found["user"] = Block(annotated(step.text, step.annotations))
    entities = [_story_entity(entity) for entity in step.entities]
    return found | ({"entities": entities} if entities else {})


def _story_entity(entity: StoryEntity) -> Any:
    named = {name: value for name in ("role", "group") if (value := getattr(entity, name)) is not None}
    if entity.value is None and not named:
        return entity.entity
    return {entity.entity: entity.value} | named
