"""Reports as answers of the HTTP API, in the shapes of the peer's `/model/test/...`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnstream.evaluation.cases import Case, entity_cases, intent_case, response_case
from turnstream.evaluation.dialogues import ActionResult, DialogueReports
from turnstream.evaluation.labels import LabelReport, report_json
from turnstream.evaluation.nlu import NluReports, Understood

MEMORIES = ("MemoizationPolicy", "AugmentedMemoizationPolicy", "RulePolicy")
"""What they predict is in the training data."""


def nlu_result(reports: NluReports) -> dict[str, Any]:
    """What `POST /model/test/intents` answers; an evaluation is null where no example says anything about it."""
    told = [one for one in reports.understood if one.example.intent]
    asked = [one for one in reports.understood if one.example.is_retrieval]
    entities = {name: _evaluation(report, entity_cases(reports, name)) for name, report in reports.entities.items()}
    return {
        "intent_evaluation": _evaluation(reports.intents, map(intent_case, told), [_intent(one) for one in told]),
        "entity_evaluation": entities or None,
        "response_selection_evaluation": _evaluation(
            reports.responses, map(response_case, asked), [_response(one) for one in asked]
        ),
    }


def _evaluation(
    report: LabelReport | None, cases: Iterable[Case], predictions: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any] | None:
    if report is None:
        return None
    result: dict[str, Any] = {
        "report": report_json(report),
        "precision": report.weighted.precision,
        "f1_score": report.weighted.f1,
        "accuracy": report.accuracy,
    }
    if predictions is not None:
        result["predictions"] = predictions
    return result | {"errors": [case for case, is_right in cases if not is_right]}


def _intent(one: Understood) -> dict[str, Any]:
    return {
        "text": one.example.text,
        "intent": one.right_intent,
        "predicted": one.intent,
        "confidence": one.parse.intent.confidence or 0.0,
    }


def _response(one: Understood) -> dict[str, Any]:
    return {
        "text": one.example.text,
        "intent_response_key_target": one.example.intent,
        "intent_response_key_prediction": one.response,
        "confidence": one.selected.confidence if one.selected else 0.0,
    }


def dialogue_result(reports: DialogueReports, *, end_to_end: bool) -> dict[str, Any]:
    """What `POST /model/test/stories` answers."""
    actions = [action for result in reports.results for action in result.actions]
    total, report = len(reports.results), reports.labels
    accuracy = {"accuracy": reports.right / max(1, total), "correct": reports.right, "total": total}
    return {
        "report": {**(report_json(report) if report else {}), "conversation_accuracy": accuracy},
        "precision": report.weighted.precision if report else 0.0,
        "f1": report.weighted.f1 if report else 0.0,
        "accuracy": report.accuracy if report else 0.0,
        "actions": [_action(action) for action in actions],
        "in_training_data_fraction": sum(a.prediction.policy in MEMORIES for a in actions) / max(1, len(actions)),
        "is_end_to_end_evaluation": end_to_end,
    }


def _action(action: ActionResult) -> dict[str, Any]:
    prediction = action.prediction
    return {
        "action": action.right,
        "predicted": prediction.action,
        "confidence": prediction.confidence,
        "policy": prediction.policy,
    }
