"""The rest of an event that `proto_late` read in part."""

from dataclasses import fields

from turnstream.api.v1 import events_pb2 as pb
from turnstream.dialogue.events import Late, ParseData, UserUttered
from turnstream.dialogue.proto import event_from_proto


def read_rest(part: Late, name: str) -> None:
    """Give every field of an event, or of its parse, the value that its source tells. Raises AttributeError."""
    if name not in type(part).__dataclass_fields__:  # type: ignore[attr-defined]
        raise AttributeError(f"'{type(part).__name__}' object has no attribute '{name}'")
    assert isinstance(part.source, pb.Event)
    whole: object = event_from_proto(part.source)
    if isinstance(part, ParseData):
        assert isinstance(whole, UserUttered)
        whole = whole.parse_data
    for field in fields(part):  # type: ignore[arg-type]
        object.__setattr__(part, field.name, getattr(whole, field.name))
