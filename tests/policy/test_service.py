"""The service `DialoguePolicy` over a real socket."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from support.policy_bundles import policy_bundle
from support.stories import DOMAIN, INTENTS, rule, story
from turnstream.api.v1 import policy_pb2, policy_pb2_grpc
from turnstream.assistant.bundle import Bundle, BundleError
from turnstream.assistant.components import (
    MemoizationPolicyOptions,
    RulePolicyOptions,
    TEDPolicyOptions,
    UnexpecTEDIntentPolicyOptions,
)
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActiveLoopChanged,
    Event,
    IntentScore,
    ParseData,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import history_to_proto, tracker_to_proto
from turnstream.features.states import StateEncoder
from turnstream.policy.loaded import LoadedPolicies
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.policy.service import PolicyService
from turnstream.policy.tables import POLICIES_FILE
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import ModelServerUnavailable
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.testing.fake_models import FakeModels

POLICIES = (
    MemoizationPolicyOptions(),
    RulePolicyOptions(),
    UnexpecTEDIntentPolicyOptions(),
    TEDPolicyOptions(max_history=5),
)
ENCODER = StateEncoder.of(DOMAIN).to_json()
ACTIONS = ("action_listen", "utter_help", "utter_bye")
MODEL_PARTS = {
    "policy/unexpected_intent-2.json": {
        "model": "unexpected_intent",
        "encoder": ENCODER,
        "intents": list(INTENTS),
        "thresholds": {"bye": 0.5},
    },
    "policy/ted-3.json": {"model": "ted", "encoder": ENCODER, "actions": list(ACTIONS)},
}
STORIES = (story("ordering", "order", "utter_ok"),)
RULES = (rule("greeting", "greet", "utter_greet"),)
LISTEN = ActionExecuted(name="action_listen")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return policy_bundle(tmp_path, DOMAIN, POLICIES, STORIES, RULES, MODEL_PARTS)


@pytest.fixture
def models() -> FakeModels:
    return FakeModels({"ted": {"scores": [[0.1, 0.7, 0.2]]}, "unexpected_intent": {"similarities": [[0.9] * 4]}})


@pytest.fixture
async def stub(bundle: Bundle, models: FakeModels) -> AsyncIterator[Any]:
    service = PolicyService(Bundles({"v1": LoadedPolicies.load(bundle)}), Outside(models))
    registered = Service(service, policy_pb2_grpc.add_DialoguePolicyServicer_to_server)
    async with GrpcServer([registered]) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield policy_pb2_grpc.DialoguePolicyStub(channel)


def said(intent: str) -> UserUttered:
    return UserUttered(text=f"a {intent}", parse_data=ParseData(intent=IntentScore(intent, 0.9)))


def request(events: Iterable[Event], **more: Any) -> policy_pb2.PredictNextActionRequest:
    dialogue = Dialogue("c", DOMAIN, events)
    return policy_pb2.PredictNextActionRequest(
        tracker=tracker_to_proto(dialogue.tracker),
        history=history_to_proto(dialogue.history()),
        visible_history=history_to_proto(dialogue.visible_history()),
        **more,
    )


async def test_a_rule_decides_and_its_name_and_events_come_back(stub: Any, models: FakeModels) -> None:
    answer = await stub.PredictNextAction(request([LISTEN, said("greet")]))
    assert (answer.action, answer.policy, answer.confidence) == ("utter_greet", "RulePolicy", 1.0)
    assert (answer.source, answer.hide_rule_turn, answer.bundle_version) == ("greeting", True, "v1")
    assert [e.WhichOneof("body") for e in answer.optional_events] == ["user_featurized"]
    assert not answer.is_text
    assert models.calls == []


async def test_a_story_decides_where_no_rule_does(stub: Any, models: FakeModels) -> None:
    answer = await stub.PredictNextAction(request([LISTEN, said("order")]))
    assert (answer.action, answer.policy, answer.source) == ("utter_ok", "MemoizationPolicy", "ordering")
    assert models.calls == []


async def test_a_model_is_asked_where_nothing_is_certain(stub: Any, models: FakeModels) -> None:
    answer = await stub.PredictNextAction(request([LISTEN, said("help")]))
    assert (answer.action, answer.policy) == ("utter_help", "TEDPolicy")
    assert answer.confidence == pytest.approx(0.7)
    (call,) = models.calls
    assert call.model == "ted"
    ids, weights, lengths = (call.inputs[key] for key in ("ids", "weights", "lengths"))
    assert ids.shape == weights.shape
    assert (ids.shape[:2], lengths.tolist()) == ((1, 2), [2])


async def test_an_unlikely_intent_is_announced_before_a_model_answers_it(stub: Any, models: FakeModels) -> None:
    models.answers["unexpected_intent"] = {"similarities": [[0.9, 0.9, 0.4, 0.9]]}
    answer = await stub.PredictNextAction(request([LISTEN, said("bye")]))
    assert (answer.action, answer.policy) == ("action_unlikely_intent", "UnexpecTEDIntentPolicy")
    assert [call.model for call in models.calls] == ["unexpected_intent"]
    assert models.calls[0].inputs["lengths"].tolist() == [1]


async def test_after_the_announcement_the_others_predict_as_if_it_had_not_been(stub: Any, models: FakeModels) -> None:
    events = [LISTEN, said("order"), ActionExecuted(name="action_unlikely_intent")]
    answer = await stub.PredictNextAction(request(events))
    assert (answer.action, answer.policy) == ("utter_ok", "MemoizationPolicy")


async def test_an_explanation_has_what_every_policy_said(stub: Any, models: FakeModels) -> None:
    answer = await stub.PredictNextAction(request([LISTEN, said("greet")], explain=True))
    assert [(p.policy, p.priority) for p in answer.predictions] == [
        ("MemoizationPolicy", 3),
        ("RulePolicy", 4),
        ("UnexpecTEDIntentPolicy", 2),
        ("TEDPolicy", 1),
    ]
    assert [s.action for s in answer.predictions[1].scores] == ["utter_greet", "action_default_fallback"]
    assert [s.action for s in answer.predictions[3].scores] == ["utter_help", "utter_bye", "action_listen"]
    assert answer.action == "utter_greet"


async def test_a_form_that_rejected_is_not_run_again_at_once(stub: Any, models: FakeModels) -> None:
    models.answers["ted"] = {"scores": [[0.2, 0.1, 0.1]]}
    started = [LISTEN, said("order"), ActionExecuted(name="order_form"), ActiveLoopChanged(name="order_form"), LISTEN]
    runs = await stub.PredictNextAction(request([*started, said("help")]))
    assert (runs.action, runs.is_no_user_prediction) == ("order_form", True)
    rejected = [*started, said("help"), ActionExecutionRejected(name="order_form")]
    answer = await stub.PredictNextAction(request(rejected))
    assert (answer.action, answer.confidence) == ("action_default_fallback", 0.3)


async def test_where_a_rule_says_what_was_rejected_a_model_is_asked(tmp_path: Path, models: FakeModels) -> None:
    starts = rule("starts", "order", "order_form", "@order_form")
    parts = {"policy/ted-1.json": MODEL_PARTS["policy/ted-3.json"]}
    policies = (RulePolicyOptions(), TEDPolicyOptions(max_history=5))
    loaded = LoadedPolicies.load(policy_bundle(tmp_path, DOMAIN, policies, (), (starts,), parts))
    begun = [LISTEN, said("order"), ActionExecuted(name="order_form"), ActiveLoopChanged(name="order_form"), LISTEN]
    dialogue = Dialogue("c", DOMAIN, [*begun, said("order"), ActionExecutionRejected(name="order_form")])
    given = PolicyInput(dialogue.tracker, dialogue.history(), dialogue.visible_history())
    found = await loaded.predict(given, Outside(models))
    assert (found.decision.action, found.decision.winner.policy) == ("utter_help", "TEDPolicy")


async def test_the_version_asked_for_answers(stub: Any) -> None:
    answer = await stub.PredictNextAction(request([LISTEN, said("greet")], bundle_version="v1"))
    assert answer.bundle_version == "v1"


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        (policy_pb2.PredictNextActionRequest(), grpc.StatusCode.INVALID_ARGUMENT, "'tracker' is missing"),
        (
            policy_pb2.PredictNextActionRequest(tracker=tracker_to_proto(Dialogue("c", DOMAIN).tracker)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "'history' has no states",
        ),
        (
            policy_pb2.PredictNextActionRequest(
                tracker=tracker_to_proto(Dialogue("c", DOMAIN).tracker),
                history=history_to_proto(Dialogue("c", DOMAIN).history()),
            ),
            grpc.StatusCode.INVALID_ARGUMENT,
            "'visible_history' is missing",
        ),
        (request([LISTEN], bundle_version="v0"), grpc.StatusCode.NOT_FOUND, "'v0'"),
    ],
    ids=["no tracker", "no history", "no visible history", "unknown bundle"],
)
async def test_a_bad_request_is_refused(stub: Any, asked: Any, code: grpc.StatusCode, told: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.PredictNextAction(asked)
    assert refused.value.code() is code
    assert told in (refused.value.details() or "")


async def test_without_a_model_server_only_what_needs_it_fails(stub: Any, models: FakeModels) -> None:
    models.answers["ted"] = ModelServerUnavailable("the model server is away")
    assert (await stub.PredictNextAction(request([LISTEN, said("greet")]))).action == "utter_greet"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.PredictNextAction(request([LISTEN, said("help")]))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_model_that_gives_another_number_of_scores_is_an_internal_error(stub: Any, models: FakeModels) -> None:
    models.answers["ted"] = {"scores": [[0.5, 0.5]]}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.PredictNextAction(request([LISTEN, said("help")]))
    assert refused.value.code() is grpc.StatusCode.INTERNAL


async def test_an_assistant_without_policies_says_so(tmp_path: Path, models: FakeModels) -> None:
    loaded = LoadedPolicies.load(policy_bundle(tmp_path, DOMAIN, ()))
    registered = Service(
        PolicyService(Bundles({"v1": loaded}), Outside(models)), policy_pb2_grpc.add_DialoguePolicyServicer_to_server
    )
    async with GrpcServer([registered]) as server, grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await policy_pb2_grpc.DialoguePolicyStub(channel).PredictNextAction(request([LISTEN, said("greet")]))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "policies" in (refused.value.details() or "")


def test_a_bundle_whose_policies_are_damaged_is_refused(bundle: Bundle) -> None:
    (bundle.root / POLICIES_FILE).write_text('{"policies": [{"part": "policy/rules.json"}]}', encoding="utf-8")
    with pytest.raises(BundleError, match="policy files are damaged"):
        LoadedPolicies.load(bundle)


def test_the_window_covers_what_each_policy_looks_at(bundle: Bundle) -> None:
    assert bundle.policy_window == 65


async def test_networks_without_stories_to_learn_from_leave_it_to_the_rules(tmp_path: Path, models: FakeModels) -> None:
    bundle = policy_bundle(tmp_path, DOMAIN, POLICIES, rules=RULES)
    policies = LoadedPolicies.load(bundle)
    service = PolicyService(Bundles({"v1": policies}), Outside(models))
    registered = Service(service, policy_pb2_grpc.add_DialoguePolicyServicer_to_server)
    async with GrpcServer([registered]) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = policy_pb2_grpc.DialoguePolicyStub(channel)
        ruled = await stub.PredictNextAction(request([LISTEN, said("greet")]))
        unknown = await stub.PredictNextAction(request([LISTEN, said("help")], explain=True))
    assert (ruled.action, ruled.policy) == ("utter_greet", "RulePolicy")
    assert (unknown.action, unknown.policy) == ("action_default_fallback", "RulePolicy")
    assert {each.policy: len(each.scores) for each in unknown.predictions} == {
        "MemoizationPolicy": 0,
        "RulePolicy": 1,
        "UnexpecTEDIntentPolicy": 0,
        "TEDPolicy": 0,
    }
    assert models.calls == []
