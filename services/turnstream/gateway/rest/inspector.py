"""`/inspector/api/...`: conversations as their author looks at them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiohttp import web

from turnstream.api.v1.nlu_pb2 import FeaturizeRequest
from turnstream.api.v1.policy_pb2 import PredictNextActionResponse
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.rasa_json import tracker_to_rasa
from turnstream.gateway.access import Access
from turnstream.gateway.channels.chat import shown_replies
from turnstream.gateway.door import Door, log_errors
from turnstream.gateway.inspection import Inspection
from turnstream.gateway.requests import identifier
from turnstream.gateway.rest.bodies import answer, conversation_id_of, query_flag, query_integer
from turnstream.gateway.rest.errors import BadField
from turnstream.gateway.rest.event_stream import MOST_TURNS, ServerEvent, first_turn, sent
from turnstream.gateway.rest.webhook import Route
from turnstream.inspector.explaining import Predicted, explained, predicted_actions, tokens_in, tokens_of
from turnstream.inspector.flags import NAMES
from turnstream.inspector.following import IndexFollower
from turnstream.inspector.histories import Histories, Told
from turnstream.inspector.index import Cursor, page_of
from turnstream.inspector.turns import turn_json, user_text
from turnstream.runtime.errors import NotFound, typed_errors
from turnstream.runtime.version import VERSION

BASE = "/inspector/api"
CONVERSATION = f"{BASE}/conversations/{{conversation_id:.+}}"
MOST_AT_ONCE = 500
MOST_WORDS = 200
PATIENCE_S = 0.3
"""How long a list waits for what was committed since the last one."""


class InspectorRoutes:
    """Reading. `close` ends what goes on between requests."""

    def __init__(self, inspection: Inspection, door: Door, histories: Histories) -> None:
        self._bundles = inspection.bundles
        self._project = inspection.project
        self._nlu = inspection.nlu
        self._nlu_timeout_s = inspection.nlu_timeout_s
        self._door = door
        self._histories = histories
        self._follower = IndexFollower(inspection.log)

    def routes(self) -> Iterable[Route]:
        return (
            ("GET", f"{BASE}/assistant", self.assistant, Access.ADMIN),
            ("GET", f"{BASE}/conversations", self.conversations, Access.ADMIN),
            ("GET", f"{CONVERSATION}/turns", self.turns, Access.ADMIN),
            ("GET", f"{CONVERSATION}/stream", self.stream, Access.ADMIN),
            ("GET", f"{CONVERSATION}/turns/{{turn:[0-9]+}}/explanation", self.explanation, Access.ADMIN),
            ("GET", f"{CONVERSATION}/tracker", self.tracker, Access.ADMIN),
        )

    async def close(self, app: web.Application) -> None:
        await self._follower.close()

    async def assistant(self, request: web.Request) -> web.StreamResponse:
        serving = self._bundles.get()
        head = {"version": VERSION, "bundle": serving.version, "bundles": list(self._bundles.versions)}
        return answer({**head, **serving.as_json(), "project": self._project is not None})

    async def conversations(self, request: web.Request) -> web.StreamResponse:
        words, flag = request.query.get("q", "").strip(), request.query.get("flag", "")
        limit, after = query_integer(request, "limit", 1, MOST_AT_ONCE, 50), _cursor(request)
        if len(words) > MOST_WORDS:
            raise BadField(f"'q' has more than {MOST_WORDS} characters", "q", "query")
        if flag and flag not in NAMES:
            raise BadField(f"'flag' must be one of {', '.join(NAMES)}, not {flag!r}", "flag", "query")
        with log_errors():
            await self._follower.catch_up(PATIENCE_S)
        summaries = self._follower.index.all()
        # Other requests go on while a hundred thousand texts are looked through.
        page = await asyncio.to_thread(
            page_of, summaries, words=words, flags=NAMES.get(flag, 0), limit=limit, after=after
        )
        return answer(
            {
                "conversations": [summary.as_json() for summary in page.summaries],
                "next": str(page.next) if page.next else None,
                "total": page.total,
                "reading": self._follower.progress,
            }
        )

    async def turns(self, request: web.Request) -> web.StreamResponse:
        from_turn = max(1, query_integer(request, "from", 0, MOST_TURNS, 1))
        limit = query_integer(request, "limit", 1, MOST_AT_ONCE, 200)
        with log_errors():
            page = await self._histories.page(_id_of(request), from_turn, limit)
        return answer({"turns": [_turn(told) for told in page.turns], "next": page.next})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        conversation_id, from_turn = _id_of(request), first_turn(request)
        self._bundles.get()
        return await sent(request, self._events(conversation_id, max(1, from_turn)))

    async def _events(self, conversation_id: str, from_turn: int) -> AsyncIterator[ServerEvent]:
        def turns(number: int) -> AsyncIterator[TurnRecord]:
            return self._door.turns(conversation_id, number)

        with log_errors():
            async for told in self._histories.following(conversation_id, from_turn, turns):
                yield ServerEvent("turn", _turn(told), told.record.turn_number)

    async def explanation(self, request: web.Request) -> web.StreamResponse:
        conversation_id, number = _id_of(request), _turn_of(request.match_info["turn"])
        with log_errors():
            records = await self._histories.records(conversation_id, number)
        record = records[-1]
        if record.bundle_version not in self._bundles:
            loaded = ", ".join(self._bundles.versions) or "none"
            gone = f"Bundle '{record.bundle_version}', which answered this turn, is not loaded; there are: {loaded}."
            raise NotFound(gone)
        actions = [
            explained(predicted, await self._again(predicted, record)) for predicted in predicted_actions(records)
        ]
        return answer({"actions": actions, "tokens": await self._tokens(record)})

    async def _again(self, predicted: Predicted, record: TurnRecord) -> PredictNextActionResponse | None:
        if not predicted.is_explainable:
            return None
        preview = await self._door.preview_again(predicted.before, record.bundle_version)
        return preview.prediction

    async def _tokens(self, record: TurnRecord) -> list[dict[str, Any]]:
        """As they were recorded, else cut anew."""
        found, text = tokens_of(record), user_text(record)
        if found is not None or not text:
            return found or []
        request = FeaturizeRequest(bundle_version=record.bundle_version, texts=[text])
        with typed_errors("nlu"):
            response = await self._nlu.Featurize(request, timeout=self._nlu_timeout_s)
        return tokens_in(text, [(span.start, span.end) for span in response.texts[0].tokens])

    async def tracker(self, request: web.Request) -> web.StreamResponse:
        conversation_id, number = _id_of(request), request.query.get("turn")
        with_events = query_flag(request, "events", missing=True)
        with log_errors():
            if number is None:
                dialogue = await self._histories.latest(conversation_id)
            else:
                dialogue = (await self._histories.turn(conversation_id, _turn_of(number))).after
        events = dialogue.events_after_restart() if with_events else None
        return answer(tracker_to_rasa(dialogue.tracker, events))


def _turn(told: Told) -> dict[str, Any]:
    return turn_json(told.record, told.before.tracker, told.after.tracker, shown_replies(told.record))


def _id_of(request: web.Request) -> str:
    return identifier(conversation_id_of(request), "conversation_id")


def _turn_of(text: str) -> int:
    """Raises BadField."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not int(text):
        raise BadField(f"'turn' must be the number of a turn, not {text!r}", "turn", "query")
    return int(text)


def _cursor(request: web.Request) -> Cursor | None:
    """Raises BadField."""
    text = request.query.get("cursor")
    if not text:
        return None
    try:
        return Cursor.read(text)
    except ValueError as error:
        raise BadField(f"'cursor': {error}", "cursor", "query") from error
