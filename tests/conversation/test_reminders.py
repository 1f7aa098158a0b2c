"""Reminders: which are pending after a turn, and that each fires once, whoever holds its conversation then."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from support.kafka import kafka_settings
from support.turns import names, texts
from support.workers import PATIENCE_S, Assistant, started
from turnstream.api.v1.turnlog_pb2 import Agenda as AgendaRecord
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.conversation import alarm as alarm_module
from turnstream.conversation.alarm import Alarm
from turnstream.conversation.metrics import PENDING_REMINDERS
from turnstream.conversation.reminders import (
    Agenda,
    agenda_after,
    decode_agenda,
    due_s,
    encode_agenda,
    inbox_message,
    is_over,
)
from turnstream.dialogue import events as ev
from turnstream.dialogue.moments import moment_of
from turnstream.dialogue.proto import event_to_proto, timestamp_to_proto
from turnstream.testing.conversation_process import replica
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.testing.turnlog_contract import Running
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.errors import LogUnavailable
from turnstream.turnlog.interface import Entry, Lease, TurnLog, TurnWriter
from turnstream.turnlog.kafka.log import KafkaTurnLog

NOW = 1_800_000_000.0
DAY = 86_400.0


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def a_reminder(
    name: str = "r", *, at_s: float = NOW + DAY, kill: bool = True, **fields: object
) -> ev.ReminderScheduled:
    named = {"intent": "greet", "trigger_date_time": at(at_s), "name": name, "kill_on_user_msg": kill}
    return ev.ReminderScheduled(**named | fields)  # type: ignore[arg-type]


def user(text: str = "hello", **fields: object) -> ev.UserUttered:
    return ev.UserUttered(text=text, **fields)  # type: ignore[arg-type]


def a_message(message_id: str = "m1", channel: str = "rest") -> InboxMessage:
    message = InboxMessage(conversation_id="c", message_id=message_id, channel=channel)
    message.user_message.text = "hello"
    return message


def after(agenda: Agenda, *events: ev.Event, message: InboxMessage | None = None) -> Agenda:
    answered = message or a_message()
    record = TurnRecord(
        conversation_id="c",
        message_id=answered.message_id,
        channel=answered.channel,
        committed_at=timestamp_to_proto(NOW),
        events=[event_to_proto(event) for event in events],
    )
    return agenda_after(agenda, answered, record)


def left(agenda: Agenda) -> list[str]:
    return [pending.reminder.name for pending in agenda]


class TestWhatIsPending:
    def test_a_reminder_is_pending_with_its_time_and_the_channel_of_its_turn(self) -> None:
        (pending,) = after((), user(), a_reminder())
        assert (due_s(pending), pending.channel, pending.reminder.intent) == (NOW + DAY, "rest", "greet")

    def test_it_is_over_once_its_own_message_was_answered(self) -> None:
        agenda = after((), a_reminder("a"), a_reminder("b"))
        message = inbox_message(agenda[0], "c", NOW, "v1")
        assert not is_over(agenda, message)
        agenda = after(agenda, message=message)
        assert left(agenda) == ["b"]
        assert is_over(agenda, message)
        assert not is_over(agenda, a_message())

    def test_the_same_name_replaces_and_without_a_name_each_stands_for_itself(self) -> None:
        agenda = after((), a_reminder("r"), a_reminder(""), a_reminder(""))
        agenda = after(agenda, a_reminder("r", at_s=NOW + 2 * DAY), message=a_message("m2"))
        assert left(agenda) == ["", "", "r"]
        assert due_s(agenda[-1]) == NOW + 2 * DAY

    def test_each_time_it_is_set_it_is_another_message_and_the_same_in_the_same_turn(self) -> None:
        first, again = after((), a_reminder()), after((), a_reminder())
        later = after((), a_reminder(), message=a_message("m2"))
        two = after((), a_reminder("a"), a_reminder("b"))
        assert first == again
        assert len({pending.message_id for pending in (*first, *later, two[1])}) == 3

    def test_a_message_of_the_user_cancels_those_that_are_to_be_killed_by_one(self) -> None:
        agenda = after((), a_reminder("killed"), a_reminder("stays", kill=False))
        assert left(after(agenda, user(), message=a_message("m2"))) == ["stays"]

    @pytest.mark.parametrize(
        "event", [user("EXTERNAL: greet", metadata={"is_external": True}), ev.BotUttered(text="hi"), user("")]
    )
    def test_what_the_user_did_not_write_cancels_nothing(self, event: ev.Event) -> None:
        agenda = after((), a_reminder())
        assert after(agenda, event, message=a_message("m2")) == agenda

    @pytest.mark.parametrize(
        ("cancel", "expected"),
        [
            (ev.ReminderCancelled(), []),
            (ev.ReminderCancelled(name="a"), ["b", "c"]),
            (ev.ReminderCancelled(intent="greet"), ["c"]),
            (ev.ReminderCancelled(entities=[{"entity": "city", "value": "Bonn"}]), ["a", "c"]),
            (ev.ReminderCancelled(name="a", intent="order"), ["a", "b", "c"]),
            (ev.ReminderCancelled(name="", intent="", entities=[]), []),
            (ev.ReminderCancelled(entities={}), []),
            (ev.ReminderCancelled(entities="none"), ["a", "b", "c"]),
        ],
    )
    def test_cancelling_goes_by_all_that_is_named_and_by_nothing_else(
        self, cancel: ev.Event, expected: list[str]
    ) -> None:
        in_bonn = a_reminder("b", entities=[{"entity": "city", "value": "Bonn"}])
        agenda = after((), a_reminder("a"), in_bonn, a_reminder("c", intent="order"))
        assert left(after(agenda, cancel, message=a_message("m2"))) == expected

    def test_events_of_a_turn_count_in_their_order(self) -> None:
        agenda = after((), a_reminder("old"))
        assert left(after(agenda, ev.ReminderCancelled(), a_reminder("new"), message=a_message("m2"))) == ["new"]
        assert left(after((), a_reminder("r"), ev.ReminderCancelled())) == []

    def test_a_restart_cancels_all_and_a_new_session_none(self) -> None:
        agenda = after((), a_reminder(kill=False))
        assert after(agenda, ev.SessionStarted(), message=a_message("m2")) == agenda
        assert after(agenda, ev.Restarted(), message=a_message("m2")) == ()

    def test_appended_events_set_and_cancel_only_where_their_effects_were_wanted(self) -> None:
        history, wanted = (InboxMessage(message_id="m2", channel="rest") for _ in range(2))
        history.events_to_append.SetInParent()
        wanted.events_to_append.has_effects = True
        assert left(after((), a_reminder(), message=history)) == []
        assert left(after((), a_reminder(), message=wanted)) == ["r"]
        agenda = after((), a_reminder())
        assert left(after(agenda, ev.ReminderCancelled(), message=history)) == ["r"]
        assert left(after(agenda, ev.ReminderCancelled(), message=wanted)) == []

    def test_an_erased_conversation_has_none(self) -> None:
        assert after(after((), a_reminder()), ev.ConversationErased(), message=a_message("m2")) == ()

    def test_a_moment_in_the_past_is_due_at_once_but_not_in_a_circle(self) -> None:
        (pending,) = after((), a_reminder(at_s=NOW - DAY))
        assert due_s(pending) == NOW - DAY
        message = inbox_message(pending, "c", NOW, "")
        (again,) = after((pending,), a_reminder(at_s=NOW - DAY), message=message)
        assert due_s(again) == NOW + 1.0

    def test_a_moment_that_cannot_be_read_is_reported_and_never_due(self, caplog: pytest.LogCaptureFixture) -> None:
        assert after((), a_reminder(trigger_date_time="tomorrow")) == ()
        assert "'tomorrow'" in caplog.text

    def test_an_agenda_is_read_back_as_it_was_written(self) -> None:
        agenda = after((), a_reminder("a", entities={"city": "Bonn"}), a_reminder("b"))
        assert decode_agenda(encode_agenda(agenda), "c") == agenda
        assert encode_agenda(()) == b""
        assert decode_agenda(b"", "c") == ()

    @pytest.mark.parametrize("data", [b"\xff\xff", AgendaRecord(format_version=9).SerializeToString()])
    def test_an_agenda_that_cannot_be_read_is_reported_and_left_out(
        self, data: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert decode_agenda(data, "c") == ()
        assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("text", ["", "tomorrow", "2030-13-01", "12:00"])
def test_what_names_no_moment_is_told(text: str) -> None:
    assert moment_of(text) is None


def test_a_moment_with_an_offset_is_the_same_everywhere_and_one_without_is_in_local_time() -> None:
    assert moment_of("2030-01-31T09:00:00+01:00") == moment_of("2030-01-31T08:00:00Z")
    assert moment_of("2030-01-31T09:00:00") == datetime(2030, 1, 31, 9).timestamp()  # noqa: DTZ001 (what an author writes)


@pytest.fixture
async def assistant(tmp_path: Path) -> AsyncIterator[Assistant]:
    async for one in started(tmp_path / "turns.db"):
        yield one


def reminding(*reminders: ev.Event) -> ScriptedServices:
    """Services whose custom action sets these."""
    services = ScriptedServices()
    services.action.events["action_order"] = reminders
    return services


async def turn_of(log: TurnLog, wanted: Callable[[TurnRecord], bool], conversation_id: str = "c") -> TurnRecord:
    """The first such turn of a conversation, as a subscriber sees it."""
    turns = log.turns(conversation_id)
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for record in turns:
                if wanted(record):
                    return record
    finally:
        await turns.aclose()  # type: ignore[attr-defined]
    raise AssertionError("turns have no end")


def fired(record: TurnRecord) -> bool:
    return record.message_id.startswith("reminder-")


async def fired_in(log: TurnLog, conversation_id: str = "c") -> int:
    """How many reminders of a conversation have a turn."""
    entries = [entry.record async for entry in log.read_turns() if isinstance(entry, Entry)]
    return sum(fired(record) for record in entries if record.conversation_id == conversation_id)


async def test_a_reminder_fires_and_whoever_subscribes_hears_of_it(tmp_path: Path) -> None:
    services = reminding(a_reminder(at_s=time.time() + 0.1, entities={"city": "Bonn"}))
    assistant = Assistant(tmp_path / "turns.db", services)
    await assistant.ask("/order")
    turn = await turn_of(assistant.log, fired)
    assert names(turn)[0] == "user"
    assert turn.events[0].user_uttered.text == "EXTERNAL: greet"
    assert turn.events[0].user_uttered.input_channel == "rest"
    assert turn.events[0].user_uttered.parse_data.entities[0].entity == "city"
    assert texts(turn) == ["utter_greet"]
    assert turn.channel == "rest"
    assert (await assistant.live()).agenda == ()
    assert await check_log(assistant.log) == []
    await assistant.stop()


async def test_one_in_the_past_fires_at_once(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", reminding(a_reminder(at_s=NOW - 1000 * DAY)))
    await assistant.ask("/order")
    assert texts(await turn_of(assistant.log, fired)) == ["utter_greet"]
    await assistant.stop()


async def test_after_a_long_stop_each_fires_late_and_once(tmp_path: Path) -> None:
    due = time.time() + 10 * DAY
    assistant = Assistant(tmp_path / "turns.db", reminding(a_reminder("a", at_s=due), a_reminder("b", at_s=due)))
    await assistant.ask("/order")
    await assistant.stop()
    for _ in range(2):
        assistant = Assistant(tmp_path / "turns.db", ScriptedServices(), ahead_s=20 * DAY)
        turn = await turn_of(assistant.log, lambda record: fired(record) and record.turn_number == 3)
        # The session had expired.
        assert texts(turn) == ["utter_greet"]
        await assistant.ask("/greet", "other", f"m{id(assistant)}")
        assert await fired_in(assistant.log) == 2
        assert await check_log(assistant.log) == []
        await assistant.stop()


async def test_it_fires_where_its_conversation_has_gone(tmp_path: Path) -> None:
    first = Assistant(tmp_path / "turns.db", reminding(a_reminder(at_s=time.time() + DAY)))
    await first.ask("/order")
    second = Assistant(tmp_path / "turns.db", ScriptedServices(), ahead_s=2 * DAY)
    await first.log.abandon()
    assert texts(await turn_of(second.log, fired)) == ["utter_greet"]
    assert await fired_in(second.log) == 1
    await second.stop()


async def test_what_the_user_writes_on_the_way_cancels_it_in_its_turn(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", reminding(a_reminder(at_s=time.time() + DAY)))
    await assistant.ask("/order")
    (pending,) = (await assistant.live()).agenda
    message = inbox_message(pending, "c", time.time(), "")
    await assistant.accept("/greet", message_id="before")
    await assistant.log.put(message)
    turn = await assistant.log.wait_for("c", message.message_id, PATIENCE_S)
    assert names(turn) == []
    assert texts(turn) == []
    assert (await assistant.live()).agenda == ()
    await assistant.stop()


async def test_what_is_taken_back_takes_its_reminder_along_and_no_other(tmp_path: Path) -> None:
    services = reminding(a_reminder("first", at_s=time.time() + DAY, kill=False))
    assistant = Assistant(tmp_path / "turns.db", services)
    await assistant.ask("/order")
    services.action.events["action_order"] = (a_reminder("second", at_s=time.time() + DAY, kill=False),)
    await assistant.ask("/order", message_id="again")
    assert left((await assistant.live()).agenda) == ["first", "second"]
    services.action.events["action_spin"] = (ev.UserUtteranceReverted(), ev.UserUtteranceReverted())
    await assistant.ask("/spin")
    assert left((await assistant.live()).agenda) == ["first"]
    third = a_reminder("third", at_s=time.time() + DAY, kill=False)
    services.action.events["action_order"] = (third, ev.ActionReverted())
    await assistant.ask("/order", message_id="third")
    assert left((await assistant.live()).agenda) == ["first"]
    await assistant.stop()


async def test_one_that_was_sent_twice_has_one_turn(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", reminding(a_reminder(at_s=time.time() + DAY, kill=False)))
    await assistant.ask("/order")
    (pending,) = (await assistant.live()).agenda
    message = inbox_message(pending, "c", time.time(), "")
    for _ in range(2):
        await assistant.log.put(message)
        await assistant.log.wait_for("c", message.message_id, PATIENCE_S)
    await assistant.ask("/greet")
    assert await fired_in(assistant.log) == 1
    await assistant.stop()


async def test_an_inbox_that_is_away_delays_it_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_module, "_PAUSE_S", 0.05)
    assistant = Assistant(tmp_path / "turns.db", reminding(a_reminder(at_s=NOW - 1000 * DAY)))
    assistant.writer.put_outage = [LogUnavailable("the broker is away")]
    await assistant.ask("/order")
    assert texts(await turn_of(assistant.log, fired)) == ["utter_greet"]
    assert assistant.writer.put_outage == []
    await assistant.stop()


async def test_an_erased_conversation_is_not_reminded(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", reminding(a_reminder(at_s=time.time() + DAY)))
    for conversation_id in ("c", "other"):
        await assistant.ask("/order", conversation_id)
    message = InboxMessage(conversation_id="c", message_id="e")
    message.erasure.reason = "asked for"
    await assistant.log.accept(message)
    await assistant.log.wait_for("c", "e", PATIENCE_S)
    await assistant.stop()
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices(), ahead_s=2 * DAY)
    await turn_of(assistant.log, fired, "other")
    await assistant.ask("/greet")
    assert await fired_in(assistant.log) == 0
    await assistant.stop()


async def test_it_outlives_snapshots_and_conversations_that_left_the_memory(tmp_path: Path) -> None:
    services = reminding(a_reminder(at_s=time.time() + DAY, kill=False))
    assistant = Assistant(tmp_path / "turns.db", services, snapshot_every_turns=1, max_live_conversations=1)
    await assistant.ask("/order")
    for n in range(3):
        await assistant.ask("/greet", message_id=f"m{n}")
        await assistant.ask("/greet", f"other{n}")
    assert [pending.reminder.name for pending in (await assistant.live()).agenda] == ["r"]
    await assistant.stop()


async def test_a_turn_that_was_committed_unknowingly_keeps_its_reminder(assistant: Assistant) -> None:
    assistant.services.action.events["action_order"] = (a_reminder(at_s=NOW - 1000 * DAY),)
    await assistant.ask("/greet")
    assistant.writer.forgets_to_answer = True
    await assistant.ask("/order")
    assert texts(await turn_of(assistant.log, fired)) == ["utter_greet"]


async def test_more_reminders_than_the_log_keeps_are_an_error_on_the_turn(assistant: Assistant) -> None:
    large = a_reminder(at_s=time.time() + DAY, entities={"city": "x" * 600_000})
    assistant.services.action.events["action_order"] = (large,)
    turn = await assistant.ask("/order")
    assert "reminders of" in turn.errors[0].message
    assert texts(await assistant.ask("/greet")) == ["utter_greet"]


async def test_on_kafka_it_fires_at_the_next_owner_however_long_its_conversation_was_idle(
    tmp_path: Path, kafka_broker: KafkaBroker
) -> None:
    settings = kafka_settings(kafka_broker)
    where = json.dumps(asdict(settings))
    gateway = KafkaTurnLog(settings)
    message = a_message()
    message.user_message.text = "remind 86400"
    async with replica(where, tmp_path / "calls"):
        await gateway.accept(message)
        await gateway.wait_for("c", "m1", PATIENCE_S)
    worker = Running(KafkaTurnLog(settings))
    await worker.worker.holds(settings.partitions)
    assert await worker.log.archive_idle(int(time.time()) + 1) == 1  # type: ignore[attr-defined]
    await worker.stop()
    await worker.log.close()  # type: ignore[attr-defined]
    async with replica(where, tmp_path / "calls", ahead_s=2 * DAY):
        assert texts(await turn_of(gateway, fired)) == ["counted EXTERNAL: count", "utter_done"]
    assert await fired_in(gateway) == 1
    assert await check_log(gateway) == []
    await gateway.close()


class Agendas:
    """A log of one partition that tells its agendas when it is let, and keeps what is put into its inbox."""

    def __init__(self, found: Mapping[str, Agenda]) -> None:
        self.asked, self.may_tell = asyncio.Event(), asyncio.Event()
        self.inbox: asyncio.Queue[InboxMessage] = asyncio.Queue()
        self._found = {conversation_id: encode_agenda(agenda) for conversation_id, agenda in found.items()}

    async def agendas(self, lease: Lease) -> Mapping[str, bytes]:
        self.asked.set()
        await self.may_tell.wait()
        return self._found

    async def put(self, message: InboxMessage) -> None:
        self.inbox.put_nowait(message)


def an_alarm(log: Agendas) -> Alarm:
    return Alarm(cast(TurnWriter, log), lambda conversation_id: 0, lambda conversation_id: "v7", lambda: NOW)


async def test_what_turns_leave_while_agendas_are_read_is_what_counts() -> None:
    old, other = after((), a_reminder(at_s=NOW - 2)), after((), a_reminder(at_s=NOW - 1))
    new = after((), a_reminder("new", at_s=NOW), message=a_message("m2"))
    log = Agendas({"changed": old, "over": old, "unchanged": other})
    alarm = an_alarm(log)
    alarm.claimed(Lease(0, 1))
    running = asyncio.create_task(alarm.run())
    await log.asked.wait()
    alarm.remind("changed", new)
    alarm.remind("over", ())
    log.may_tell.set()
    async with asyncio.timeout(PATIENCE_S):
        fired = [await log.inbox.get() for _ in range(2)]
    assert {(m.conversation_id, m.message_id) for m in fired} == {
        ("changed", new[0].message_id),
        ("unchanged", other[0].message_id),
    }
    assert {message.bundle_version for message in fired} == {"v7"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert log.inbox.empty()
    alarm.revoked(Lease(0, 1))


async def test_a_reminder_that_every_message_puts_off_leaves_nothing_behind() -> None:
    alarm = an_alarm(Agendas({}))
    alarm.claimed(Lease(0, 1))
    for n in range(3000):
        alarm.remind("c", after((), a_reminder(), message=a_message(f"m{n}")))
    assert len(alarm._due) < 1500
    alarm.revoked(Lease(0, 1))
    alarm.remind("c", after((), a_reminder()))
    assert PENDING_REMINDERS._value.get() == 0
