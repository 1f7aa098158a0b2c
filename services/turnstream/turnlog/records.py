"""Records to bytes and back, with what a log checks on the way in and on the way out."""

from google.protobuf.message import DecodeError, Message

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.turnlog.errors import TurnTooLarge, UndecodableRecord
from turnstream.turnlog.interface import INBOX_FORMAT_VERSION, MAX_AGENDA_BYTES, TURN_FORMAT_VERSION


def encode_inbox(message: InboxMessage) -> bytes:
    """The bytes of a message, in the current format. Raises ValueError where an id or the request is missing."""
    _require(message, "conversation_id", "message_id")
    if message.WhichOneof("request") is None:
        raise ValueError(f"inbox message '{message.message_id}' has no request; set one of its `request` fields")
    if message.format_version == INBOX_FORMAT_VERSION:
        return message.SerializeToString()
    stamped = InboxMessage()
    stamped.CopyFrom(message)
    stamped.format_version = INBOX_FORMAT_VERSION
    return stamped.SerializeToString()


def encode_turn(record: TurnRecord) -> bytes:
    """The bytes of a turn, in the current format. Raises ValueError where an id or the number is missing."""
    _require(record, "conversation_id", "message_id", "turn_number")
    if record.format_version == TURN_FORMAT_VERSION:
        return record.SerializeToString()
    stamped = TurnRecord()
    stamped.CopyFrom(record)
    stamped.format_version = TURN_FORMAT_VERSION
    return stamped.SerializeToString()


def decode_inbox(data: bytes, conversation_id: str) -> InboxMessage:
    """Raises UndecodableRecord."""
    message = InboxMessage()
    _parse(message, data)
    _check(message.format_version, INBOX_FORMAT_VERSION, message.conversation_id, conversation_id)
    return message


def decode_turn(data: bytes, conversation_id: str) -> TurnRecord:
    """Raises UndecodableRecord."""
    record = TurnRecord()
    _parse(record, data)
    _check(record.format_version, TURN_FORMAT_VERSION, record.conversation_id, conversation_id)
    return record


def erases(record: TurnRecord) -> bool:
    """Whether the turn takes the conversation's earlier records out of the log."""
    return any(event.WhichOneof("body") == "conversation_erased" for event in record.events)


def check_agenda(record: TurnRecord, agenda: bytes | None) -> bytes | None:
    """The agenda to write with a turn: none is left of a conversation that is erased. Raises TurnTooLarge."""
    if erases(record):
        return b""
    if agenda is not None and len(agenda) > MAX_AGENDA_BYTES:
        raise TurnTooLarge(
            f"turn {record.turn_number} of '{record.conversation_id}' leaves reminders of {len(agenda)} bytes; "
            f"a conversation may have {MAX_AGENDA_BYTES}"
        )
    return agenda


def _require(message: InboxMessage | TurnRecord, *fields: str) -> None:
    for field in fields:
        if not getattr(message, field):
            raise ValueError(f"{type(message).__name__} has no {field}")


def _parse(message: Message, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise UndecodableRecord(f"damaged: {error}") from error


def _check(version: int, known: int, conversation_id: str, expected: str) -> None:
    if version != known:
        raise UndecodableRecord(f"format version {version}; this version of Turnstream reads {known}")
    if conversation_id != expected:
        raise UndecodableRecord(f"it is of conversation '{conversation_id}', filed under '{expected}'")
