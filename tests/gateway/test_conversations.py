"""The gRPC door over a real socket."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from support.gateway import Behind, running_gateway
from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.api.v1.events_pb2 import Event, ParseData, SlotSet
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.api.v1.values_pb2 import ListValue, MapEntry, MapValue, Value
from turnstream.dialogue.values import map_to_proto, value_to_proto
from turnstream.runtime.channels import open_channel
from turnstream.runtime.errors import DeadlinePassed, InvalidRequest, TryLater, typed_errors
from turnstream.turnlog.errors import InboxFull

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with running_gateway() as behind:
        yield behind


@pytest.fixture
async def stub(behind: Behind) -> AsyncIterator[Any]:
    async with open_channel(behind.grpc.address) as channel:
        yield ConversationsStub(channel)


async def test_message_is_answered_with_its_turn(behind: Behind, stub: Any) -> None:
    request = pb.SendMessageRequest(conversation_id="ada", text="hi", metadata=map_to_proto({"a": 1}))
    response = await stub.SendMessage(request, timeout=5, metadata=(("traceparent", TRACEPARENT),))
    turn = response.turn
    assert (turn.number, turn.bundle_version, [r.text for r in turn.replies]) == (1, "7", ["grpc: hi"])
    (accepted,) = behind.log.accepted
    assert (accepted.message_id, accepted.traceparent) == (turn.message_id, TRACEPARENT)


async def test_retry_with_the_same_id_gets_the_same_turn(behind: Behind, stub: Any) -> None:
    request = pb.SendMessageRequest(conversation_id="ada", text="hi", message_id="m1")
    first = await stub.SendMessage(request)
    assert await stub.SendMessage(request) == first
    assert behind.log.last_turn("ada") == 1


async def test_erasure_is_put_into_the_inbox_and_answered_with_its_turn(behind: Behind, stub: Any) -> None:
    await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text="hi"))
    response = await stub.EraseConversation(pb.EraseConversationRequest(conversation_id="ada", reason="asked for"))
    assert response.turn.number == 2
    assert behind.log.accepted[-1].erasure.reason == "asked for"


async def test_stream_says_accepted_then_replies_then_the_turn(behind: Behind, stub: Any) -> None:
    behind.log.answer = lambda message: TurnRecord(replies=[pb.Reply(text="one"), pb.Reply(text="two")])
    request = pb.StreamMessageRequest(conversation_id="ada", text="hi", message_id="m1")
    parts = [part async for part in stub.StreamMessage(request)]
    assert [p.WhichOneof("part") for p in parts] == ["accepted", "reply", "reply", "turn"]
    assert parts[0].accepted.message_id == "m1"
    assert len(parts[3].turn.replies) == 2


async def test_accepted_is_told_before_the_turn_is_done(behind: Behind, stub: Any) -> None:
    call = stub.StreamMessage(pb.StreamMessageRequest(conversation_id="ada", text="silence", message_id="m1"))
    assert (await call.read()).WhichOneof("part") == "accepted"
    await behind.log.commit("ada", "m1", TurnRecord(replies=[pb.Reply(text="late")]))
    assert (await call.read()).reply.text == "late"


async def test_subscriber_gets_past_and_future_turns(behind: Behind, stub: Any) -> None:
    for n in range(3):
        await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text=str(n)))
    call = stub.Subscribe(pb.SubscribeRequest(conversation_id="ada", from_turn=2))
    assert [(await call.read()).turn.number for _ in range(2)] == [2, 3]
    await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text="new"))
    assert (await call.read()).turn.number == 4
    call.cancel()


async def test_deadline_passes_and_the_turn_still_happens(behind: Behind, stub: Any) -> None:
    request = pb.SendMessageRequest(conversation_id="ada", text="silence", message_id="m1")
    with pytest.raises(DeadlinePassed), typed_errors():
        await stub.SendMessage(request, timeout=0.2)
    await behind.log.commit("ada", "m1", TurnRecord(replies=[pb.Reply(text="late")]))
    assert (await stub.SendMessage(request)).turn.replies[0].text == "late"


async def test_full_inbox_is_try_later(behind: Behind, stub: Any) -> None:
    behind.log.fails_with = InboxFull("1000 messages wait")
    with pytest.raises(TryLater, match="1000 messages wait"), typed_errors():
        await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text="hi"))


NESTED = Value(int_value=1)
for _ in range(40):
    NESTED = Value(list_value=ListValue(items=[NESTED]))

BAD = [
    ("SendMessage", pb.SendMessageRequest(text="hi"), "conversation_id is missing"),
    ("SendMessage", pb.SendMessageRequest(conversation_id="a"), "text is missing"),
    ("SendMessage", pb.SendMessageRequest(conversation_id="a", text="x" * 1_000_000), "1000000 bytes"),
    ("SendMessage", pb.SendMessageRequest(conversation_id="a\n", text="x"), "control characters"),
    ("SendMessage", pb.SendMessageRequest(conversation_id="a" * 513, text="x"), "513 characters"),
    (
        "SendMessage",
        pb.SendMessageRequest(conversation_id="a", text="x", metadata=map_to_proto({"k": "v" * 300_000})),
        "metadata has",
    ),
    ("AppendEvents", pb.AppendEventsRequest(conversation_id="a"), "events is missing"),
    ("AppendEvents", pb.AppendEventsRequest(conversation_id="a", events=[Event()]), r"events\[0\] has no body"),
    ("TriggerIntent", pb.TriggerIntentRequest(conversation_id="a"), "intent is missing"),
    ("ExecuteAction", pb.ExecuteActionRequest(conversation_id="a"), "action is missing"),
    ("ExecuteAction", pb.ExecuteActionRequest(conversation_id="a", action="x", confidence=-1), "between 0 and 1"),
    ("AddMessage", pb.AddMessageRequest(conversation_id="a"), "text is missing"),
    ("GetTracker", pb.GetTrackerRequest(), "conversation_id is missing"),
    ("PredictNext", pb.PredictNextRequest(), "conversation_id is missing"),
]


@pytest.mark.parametrize(("method", "request_message", "problem"), BAD, ids=[f"{m}: {p}" for m, _, p in BAD])
async def test_bad_request_is_refused_and_nothing_is_accepted(
    behind: Behind, stub: Any, method: str, request_message: Any, problem: str
) -> None:
    with pytest.raises(InvalidRequest, match=problem), typed_errors():
        await getattr(stub, method)(request_message)
    assert not behind.log.accepted


@pytest.mark.parametrize("method", ["StreamMessage", "Subscribe"])
async def test_bad_request_of_a_stream_is_refused(stub: Any, method: str) -> None:
    request = pb.StreamMessageRequest(text="hi") if method == "StreamMessage" else pb.SubscribeRequest()
    with pytest.raises(InvalidRequest, match="conversation_id is missing"), typed_errors():
        await getattr(stub, method)(request).read()


async def test_invalid_utf8_is_refused_before_it_is_a_message(behind: Behind) -> None:
    async with open_channel(behind.grpc.address) as channel:
        call = channel.unary_unary("/turnstream.api.v1.Conversations/SendMessage", bytes, bytes)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\x0a\x03ada\x1a\x02\xff\xfe")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "UTF-8" in (caught.value.details() or "")
    assert not behind.log.accepted


async def test_metadata_nested_too_deep_is_refused(behind: Behind, stub: Any) -> None:
    request = pb.SendMessageRequest(
        conversation_id="a", text="x", metadata=MapValue(entries=[MapEntry(key="k", value=NESTED)])
    )
    with pytest.raises(InvalidRequest, match="nested"), typed_errors():
        await stub.SendMessage(request)
    assert not behind.log.accepted


async def test_events_intents_actions_and_messages_reach_the_inbox(behind: Behind, stub: Any) -> None:
    event = Event(slot_set=SlotSet(name="city", value=value_to_proto("Berlin")))
    appended = await stub.AppendEvents(pb.AppendEventsRequest(conversation_id="a", events=[event], message_id="m"))
    assert (appended.turn.number, appended.turn.message_id, appended.tracker.conversation_id) == (1, "m", "a")
    triggered = await stub.TriggerIntent(
        pb.TriggerIntentRequest(conversation_id="a", intent="greet", entities=map_to_proto({"x": 1}), channel="c")
    )
    assert triggered.turn.replies[0].text == "c: intent_trigger"
    executed = await stub.ExecuteAction(pb.ExecuteActionRequest(conversation_id="a", action="utter_greet"))
    assert executed.turn.number == 3
    added = await stub.AddMessage(pb.AddMessageRequest(conversation_id="a", text="x", parse_data=ParseData(text="x")))
    assert added.tracker.turn_number == 4
    kinds = [m.WhichOneof("request") for m in behind.log.accepted]
    assert kinds == ["events_to_append", "intent_trigger", "action_to_execute", "message_to_add"]
    assert not behind.log.accepted[2].action_to_execute.HasField("confidence")


async def test_tracker_is_never_older_than_an_answer_given(behind: Behind, stub: Any) -> None:
    await stub.SendMessage(pb.SendMessageRequest(conversation_id="a", text="hi"))
    behind.trackers.reads_behind = 2
    assert (await stub.GetTracker(pb.GetTrackerRequest(conversation_id="a"))).tracker.turn_number == 1


async def test_tracker_and_prediction_come_from_the_conversation_service(behind: Behind, stub: Any) -> None:
    request = pb.GetTrackerRequest(conversation_id="a", events=pb.EVENT_VERBOSITY_ALL)
    assert (await stub.GetTracker(request)).tracker.conversation_id == "a"
    assert behind.trackers.asked[-1].events == pb.EVENT_VERBOSITY_ALL
    predicted = await stub.PredictNext(pb.PredictNextRequest(conversation_id="a"))
    assert predicted.prediction.action == "action_listen"
    assert predicted.elapsed.ToNanoseconds() > 0
