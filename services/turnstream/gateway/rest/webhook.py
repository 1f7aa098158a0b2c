"""Rasa's `rest` channel: `/webhooks/rest/webhook`, plain or as a stream, and its health."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.gateway import requests
from turnstream.gateway.access import Access
from turnstream.gateway.door import Door
from turnstream.gateway.rest.bodies import answer, optional_text, query_flag, read_object, text_field
from turnstream.gateway.rest.errors import BadField, Handler, dumps, failure_of
from turnstream.gateway.rest.replies import replies_json, reply_json
from turnstream.runtime.errors import TurnstreamError

DEFAULT_SENDER = "default"
Route = tuple[str, str, Handler, Access]


class RestChannel:
    name = "rest"

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> Iterable[Route]:
        base = f"/webhooks/{self.name}"
        return (
            ("GET", f"{base}/", self.health, Access.PUBLIC),
            ("GET", base, self.health, Access.PUBLIC),
            ("POST", f"{base}/webhook", self.receive, Access.PUBLIC),
        )

    async def health(self, request: web.Request) -> web.StreamResponse:
        return answer({"status": "ok"})

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """`sender`, `message`, `metadata`, `input_channel` as in Rasa; `message_id` (our own) makes a retry safe."""
        message = self._message(await read_object(request))
        if query_flag(request, "stream"):
            return await self._stream(request, message)
        record = await self._door.send(message)
        return answer(replies_json(message.conversation_id, record.replies))

    def _message(self, body: dict[str, Any]) -> InboxMessage:
        sender = sender_of(body)
        text = text_field(body, "message")
        message_id = optional_text(body, "message_id") or self._door.new_id()
        channel = optional_text(body, "input_channel") or self.name
        limit = self._door.limits.max_message_bytes
        metadata = body.get("metadata")
        packed = None if metadata is None else requests.map_within(metadata, "metadata", limit)
        message = requests.inbox_message(sender, message_id, channel)
        message.user_message.CopyFrom(requests.user_message(text, packed, limit))
        return message

    async def _stream(self, request: web.Request, message: InboxMessage) -> web.StreamResponse:
        """A line of JSON for each reply. An error after the beginning is a last line in the shape of error bodies."""
        await self._door.accept(message)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        try:
            record = await self._door.turn(message.conversation_id, message.message_id)
        except TurnstreamError as error:
            failure = failure_of(error)
            await stream.write(f"{failure.text}\n".encode())
        else:
            for reply in record.replies:
                await stream.write(f"{dumps(reply_json(message.conversation_id, reply))}\n".encode())
        await stream.write_eof()
        return stream


def sender_of(body: dict[str, Any]) -> str:
    """Numbers are taken as text, as Rasa does; nobody is `default`."""
    sender = body.get("sender")
    if sender is None:
        return DEFAULT_SENDER
    if isinstance(sender, bool) or not isinstance(sender, str | int | float):
        raise BadField("'sender' must be a text", "sender")
    return str(sender)
