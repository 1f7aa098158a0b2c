"""What an action streams, put together: pieces of a text are one message, and anything richer is one of its own."""

from typing import Any

from turnstream.action.structs import from_struct, from_structs
from turnstream.api.actionserver.v1 import action_server_pb2 as pb


class Chunks:
    """Messages as the SDK's dispatcher would have returned them."""

    def __init__(self) -> None:
        self._messages: list[dict[str, Any]] = []
        self._text: list[str] = []

    def add(self, chunk: pb.Chunk) -> None:
        rich = _rich(chunk)
        if not rich:
            self._text.append(chunk.text)
            return
        self.end()
        self._messages.append({"text": chunk.text} | rich if chunk.text else rich)

    def end(self) -> None:
        """The end of one streamed response."""
        if text := "".join(self._text):
            self._messages.append({"text": text})
        self._text.clear()

    def messages(self) -> tuple[dict[str, Any], ...]:
        """All messages so far, in order."""
        self.end()
        return tuple(self._messages)


def _rich(chunk: pb.Chunk) -> dict[str, Any]:
    parts = {
        "image": chunk.image,
        "custom": from_struct(chunk.custom),
        "attachment": chunk.attachment,
        "buttons": from_structs(chunk.buttons),
        "elements": from_structs(chunk.elements),
    }
    return {key: value for key, value in parts.items() if value}
