"""What a user message means: NLU, and the response selectors where the assistant has any."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turnstream.api.v1.nlu_pb2 import ParseRequest, ParseResponse
from turnstream.api.v1.selection_pb2 import SelectResponseRequest
from turnstream.conversation.crashpoints import crash_point
from turnstream.conversation.draft import TurnDraft
from turnstream.conversation.services import Services
from turnstream.dialogue.events import ExtractedEntity, IntentScore, ParseData, UserUttered
from turnstream.dialogue.fields import EventError
from turnstream.dialogue.parse_json import entity_from_rasa
from turnstream.dialogue.proto import parse_from_proto, selected_from_proto
from turnstream.dialogue.values import map_to_proto

EXTERNAL_PREFIX = "EXTERNAL: "


async def understand(draft: TurnDraft, services: Services, text: str, metadata: Mapping[str, Any]) -> ParseData:
    """Raises ServiceFailedError."""
    crash_point("before_parse")
    request = ParseRequest(
        bundle_version=draft.assistant.version,
        text=text,
        message_id=draft.message.message_id,
        metadata=map_to_proto(metadata),
    )
    with draft.asking("nlu", "Parse"):
        response = await services.parse(request)
    parse = replace(parse_from_proto(response.parse_data), message_id=draft.message.message_id, metadata=dict(metadata))
    if draft.assistant.has_selectors and response.HasField("features"):
        parse = await _with_selections(draft, services, parse, response)
    crash_point("after_parse")
    return parse


def unparsed(draft: TurnDraft, text: str, metadata: Mapping[str, Any]) -> ParseData:
    """A message of which nothing is known but its words."""
    return ParseData(
        text=text, intent=IntentScore(None, 0.0), message_id=draft.message.message_id, metadata=dict(metadata)
    )


async def _with_selections(
    draft: TurnDraft, services: Services, parse: ParseData, response: ParseResponse
) -> ParseData:
    request = SelectResponseRequest(
        bundle_version=draft.assistant.version,
        text=parse.text,
        features=response.features,
        intent=parse.full_retrieval_intent_name or parse.intent.name or "",
    )
    with draft.asking("selection", "SelectResponse"):
        answer = await services.select(request)
    selections = {key: selected_from_proto(selected) for key, selected in answer.selections.items()}
    intent = parse.intent.name or ""
    chosen = selections.get(intent)
    return replace(
        parse,
        response_selector=selections,
        all_retrieval_intents=tuple(answer.all_retrieval_intents),
        has_full_retrieval_intent_name=intent in answer.all_retrieval_intents,
        full_retrieval_intent_name=chosen.intent_response_key if chosen else None,
    )


def external_message(intent: str, entities: Any, channel: str | None) -> UserUttered:
    """What an intent from outside is recorded as. `entities` are values by name, or a list of full entities.

    Raises EventError for anything else.
    """
    if isinstance(entities, Mapping):
        found = tuple(ExtractedEntity(entity=name, value=value) for name, value in entities.items())
    elif isinstance(entities, list | tuple | None):
        found = tuple(entity_from_rasa(entity) for entity in entities or ())
    else:
        raise EventError(f"entities must be an object or a list, not {entities!r}", "entities")
    text = EXTERNAL_PREFIX + intent
    metadata = {"is_external": True}
    parse = ParseData(text=text, intent=IntentScore(intent), entities=found, metadata=metadata)
    return UserUttered(text=text, parse_data=parse, input_channel=channel, metadata=metadata)
