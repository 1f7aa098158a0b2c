"""Running a custom action: what the server answered becomes events, its messages before the events it returned."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from turnstream.action.action_server import ActionRequest, WireDomain
from turnstream.action.failures import ActionFailed
from turnstream.action.messages import DATA_KEYS, UTTER_ACTION, bot_event
from turnstream.action.responding import Speaker
from turnstream.action.scene import Scene
from turnstream.api.v1.events_pb2 import Event as EventProto
from turnstream.dialogue.events import BotUttered, Event
from turnstream.dialogue.loops import without_unknown_loops
from turnstream.dialogue.proto import event_from_proto
from turnstream.dialogue.rasa_json import event_to_rasa, events_from_rasa, tracker_to_rasa

MAX_REMEMBERED_BYTES = 8 * 1024
"""Of an event; larger ones are read, and written as JSON, each time, so that little memory is used."""

MESSAGE_KEYS = frozenset({"text", "template", *DATA_KEYS})
"""Keys that the SDK always sends: where empty they must not hide a slot of the same name."""

MESSAGE_TYPES = {
    "text": str,
    "response": str,
    "template": str,
    "buttons": list,
    "elements": list,
    "quick_replies": list,
}


class CustomActions:
    """Custom actions of one assistant."""

    def __init__(self, speaker: Speaker, domain_json: Mapping[str, Any]) -> None:
        self._speaker = speaker
        self._domain = WireDomain.of(domain_json)

    async def run(self, name: str, scene: Scene) -> list[Event]:
        """Events in order. Unusable messages or events are left out and noted in `scene.failures`.

        Raises ActionFailed where the server did not run it, ActionRejected where the action refused.
        """
        answer = await scene.server.call(self._request(name, scene), scene.idempotency_key, scene.deadline)
        said: list[Event] = []
        for response in answer.responses:
            said += await self._said(name, response, scene)
        events, errors = events_from_rasa(answer.events, now=scene.now)
        scene.failures.extend(ActionFailed(name, f"event {e.index} was left out", str(e)) for e in errors)
        usable, wrong = without_unknown_loops(events, scene.domain)
        scene.failures.extend(ActionFailed(name, why) for why in wrong)
        return [*said, *usable]

    def _request(self, name: str, scene: Scene) -> ActionRequest:
        return ActionRequest(
            action=name,
            tracker={key: value for key, value in tracker_to_rasa(scene.tracker).items() if key != "events"},
            events=[_event_json(event) for event in scene.events],
            domain=self._domain,
            marked=name in (scene.domain.actions_with_domain or ()),
        )

    async def _said(self, name: str, response: Any, scene: Scene) -> list[BotUttered]:
        if not isinstance(response, Mapping):
            scene.failures.append(ActionFailed(name, "a message was left out: it is no JSON object", repr(response)))
            return []
        try:
            _check_types(name, response)
            message = await self._message(response, scene)
        except ActionFailed as failure:
            scene.failures.append(failure)
            return []
        return [] if message is None else [bot_event(message, scene.now)]

    async def _message(self, response: Mapping[str, Any], scene: Scene) -> dict[str, Any] | None:
        """One dispatcher message. What it says itself wins over the response that it names; buttons are added."""
        own = {k: v for k, v in response.items() if k != "response"}
        draft: dict[str, Any] = {}
        if name := response.get("response") or response.get("template"):
            arguments = {k: v for k, v in own.items() if v is not None or k not in MESSAGE_KEYS}
            generated = await self._speaker.draft(str(name), scene, arguments)
            if generated is None:
                return None
            draft = {**generated, UTTER_ACTION: name}
        buttons = own.pop("buttons", None)
        if buttons:
            draft["buttons"] = [*draft.get("buttons", ()), *buttons]
        return draft | {k: v for k, v in own.items() if v}


def _event_json(event: Event) -> str:
    data: bytes | None = getattr(event, "encoded", None)
    if data is None or len(data) > MAX_REMEMBERED_BYTES:
        return json.dumps(event_to_rasa(event), ensure_ascii=False)
    return _remembered_json(data)


@lru_cache(maxsize=16_384)
def _remembered_json(data: bytes) -> str:
    """An event goes to the action server with each action of its session: what it is written as is kept."""
    return json.dumps(event_to_rasa(event_from_proto(EventProto.FromString(data))), ensure_ascii=False)


def _check_types(name: str, response: Mapping[str, Any]) -> None:
    """Raises ActionFailed for a message that no channel could send."""
    for key, wanted in MESSAGE_TYPES.items():
        value = response.get(key)
        if value is not None and not isinstance(value, wanted):
            kind, found = wanted.__name__, type(value).__name__
            reason = f"a message was left out: its {key!r} must be a {kind}, not a {found}"
            raise ActionFailed(name, reason, repr(value))
