"""The gRPC service `DialoguePolicy`."""

from typing import Any

import grpc.aio

from turnstream.api.v1 import policy_pb2, policy_pb2_grpc
from turnstream.dialogue.prediction.ensemble import PolicyPrediction
from turnstream.dialogue.proto import event_to_proto, history_from_proto, tracker_from_proto
from turnstream.policy.loaded import LoadedPolicies, Outcome
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest

Context = grpc.aio.ServicerContext[Any, Any]


class PolicyService(policy_pb2_grpc.DialoguePolicyServicer):
    """Stateless: all that a prediction needs is in the request and the bundle."""

    def __init__(self, bundles: Bundles[LoadedPolicies], outside: Outside) -> None:
        self._bundles = bundles
        self._outside = outside

    async def PredictNextAction(
        self, request: policy_pb2.PredictNextActionRequest, context: Context
    ) -> policy_pb2.PredictNextActionResponse:
        version = request.bundle_version or self._bundles.stable
        loaded = self._bundles.get(version)
        outcome = await loaded.predict(_input(request), self._outside, explain=request.explain)
        response = _response(outcome, loaded.is_text(outcome.decision.action))
        response.bundle_version = version
        if request.explain:
            response.predictions.extend(_prediction(p) for p in outcome.predictions)
        return response


def _input(request: policy_pb2.PredictNextActionRequest) -> PolicyInput:
    if not request.HasField("tracker"):
        raise InvalidRequest("'tracker' is missing")
    if not request.history.states:
        raise InvalidRequest("'history' has no states; the current one must be there at least")
    if not request.HasField("visible_history"):
        raise InvalidRequest("'visible_history' is missing; it may be empty where only rules see the state")
    return PolicyInput(
        tracker=tracker_from_proto(request.tracker),
        history=history_from_proto(request.history),
        visible_history=history_from_proto(request.visible_history),
    )


def _response(outcome: Outcome, is_text: bool) -> policy_pb2.PredictNextActionResponse:
    decision, winner = outcome.decision, outcome.decision.winner
    return policy_pb2.PredictNextActionResponse(
        action=decision.action,
        is_text=is_text,
        confidence=decision.confidence,
        policy=winner.policy,
        is_end_to_end=winner.is_end_to_end,
        hide_rule_turn=winner.hide_rule_turn,
        is_no_user_prediction=winner.is_no_user_prediction,
        mandatory_events=[event_to_proto(event) for event in decision.mandatory_events],
        optional_events=[event_to_proto(event) for event in decision.optional_events],
        source=winner.source,
    )


def _prediction(prediction: PolicyPrediction) -> policy_pb2.PolicyPrediction:
    ranked = sorted(prediction.scores.items(), key=lambda item: -item[1])
    return policy_pb2.PolicyPrediction(
        policy=prediction.policy,
        priority=prediction.priority,
        scores=[policy_pb2.ActionScore(action=action, confidence=score) for action, score in ranked],
        source=prediction.source,
    )
