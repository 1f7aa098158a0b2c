"""What a message, an action server, an NLG server, a link to a page or an archive of a bundle may hold."""

import gzip
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from turnstream.action.action_server import ActionAnswer, ActionRequest
from turnstream.action.custom import CustomActions
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.messages import bot_event
from turnstream.action.nlg import answer_read, checked
from turnstream.action.responding import Speaker
from turnstream.action.responses import DomainResponses
from turnstream.action.scene import Scene
from turnstream.action.server_client import answer_of
from turnstream.assistant.bundle import BundleError, find_bundle, open_bundle
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.single_file import lay_out
from turnstream.cli.bundle_install import unpacked
from turnstream.conversation.reminders import decode_agenda
from turnstream.dialogue.events import Event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, event_to_proto
from turnstream.dialogue.rasa_json import event_to_rasa
from turnstream.inference.sources import ModelConfigError, models_in_config
from turnstream.inspector.index import Cursor
from turnstream.nlu.payload import read_payload

from fuzz.target import Target, choosing, chosen
from fuzz.wire_readers import domain
from fuzz.yaml_readers import BOMB, DEEP


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    place = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="turnstream-fuzz-", dir=place if place.is_dir() else None)


def _payload(data: bytes) -> None:
    """Of a message that names its intent; there is none that cannot be read."""
    payload = read_payload(data.decode(errors="replace"), {"greet"}, {"city"})
    if payload is not None:
        json.dumps([entity.value for entity in payload.entities], allow_nan=False)


class _Answering:
    """An action server that has answered with these bytes."""

    def __init__(self, status: int, content: bytes) -> None:
        self._answer = (status, content)

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        return answer_of(request.action, *self._answer)


def _action(data: bytes) -> None:
    """The first byte says with which status."""
    if not data:
        return
    status = (200, 400, 404, 500)[data[0] % 4] if data[0] < 32 else 200
    dialogue = Dialogue("ada", domain())
    scene = Scene(domain(), dialogue.tracker, server=_Answering(status, data[1:]), now=7.0)
    actions = CustomActions(Speaker(DomainResponses(domain())), {})
    _storable(_result(actions.run("action_x", scene)))


def _result(done: Coroutine[Any, Any, list[Event]]) -> list[Event]:
    """What comes of something that waits for nothing."""
    try:
        done.send(None)
    except StopIteration as end:
        found: list[Event] = end.value
        return found
    raise AssertionError("it waits")


def _nlg(data: bytes) -> None:
    answer = None
    with suppress(ValueError):
        answer = answer_read(data)
    if answer not in (None, ""):
        _storable([bot_event(checked("utter_x", answer), 7.0)])


def _storable(events: Sequence[Event]) -> None:
    stored = [event_from_proto(event_to_proto(event)) for event in events]
    json.dumps([event_to_rasa(event) for event in stored], allow_nan=False).encode()


def _cursor(data: bytes) -> None:
    with suppress(ValueError):
        Cursor.read(data.decode(errors="replace"))


def _agenda(data: bytes) -> object:
    return decode_agenda(data, "ada")


def _training_body(data: bytes) -> object:
    return lay_out(data, Path(_folder().name))


def _model_config(data: bytes) -> object:
    file = Path(_folder().name, "models.config")
    file.write_bytes(data)
    return models_in_config(file)


def _archive(data: bytes) -> object:
    """Whatever an archive says, nothing is written but below the folder."""
    place = Path(_folder().name, "bundles")
    archive = Path(_folder().name, "bundle.tar.gz")
    archive.write_bytes(data)
    try:
        return open_bundle(find_bundle(unpacked(archive, place)))
    finally:
        assert not Path(_folder().name, "escaped").exists()
        shutil.rmtree(place, ignore_errors=True)


def _message_seeds() -> Sequence[bytes]:
    nested = b'{"text": "x", "custom": ' + b"[" * 5000
    answers = (
        b'{"events": [{"event": "slot", "name": "city", "value": "Rome"}], "responses": [{"text": "hi"}]}',
        b'{"responses": [{"text": "\\ud800", "buttons": [{"title": "x"}], "custom": {"a": [1, 1e999]}}, 5]}',
        b'{"error": "no", "action_name": "action_x"}',
        b"null",
        b"",
        nested,
    )
    said = (b'{"text": "hi", "metadata": {"a": 1}}', b'{"text": "\\ud800"}', b'{"custom": {"n": NaN}}', nested, b"5")
    return [
        chosen(0, b'/greet@0.7{"city": ["Rome", 1]}'),
        chosen(0, b'/greet{"city": ' + b"[" * 4000),
        chosen(0, b'/greet{"city": 1e999}'),
        *(chosen(1, bytes([status]) + answer) for status in range(4) for answer in answers),
        *(chosen(2, answer) for answer in said),
        chosen(3, str(Cursor(1.5, "ada")).encode()),
        chosen(3, b"W1tb" * 900),
        chosen(4, b"\x08\x01"),
    ]


def _packed(*files: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../escaped"
        if not files:
            archive.addfile(link)
    return target.getvalue()


def _file_seeds() -> Sequence[bytes]:
    body = b"version: '3.1'\npipeline: [{name: WhitespaceTokenizer}]\nintents: [greet]\nnlu: []\nrules: []\n"
    config = (
        b'model_config_list { config { name: "m" base_path: "/m" model_version_policy { specific { versions: 3 } } } }'
    )
    good = _packed(("a/manifest.json", b'{"version": "a", "files": {}}'))
    escaping, linked = _packed(("../escaped", b"x")), _packed()
    broken = good[:30] + bytes(255 - byte for byte in good[30:50]) + good[50:]
    return [
        *(chosen(0, data) for data in (body, b'{"pipeline": [], "nlu": []}', b"", BOMB, DEEP, b"\xff")),
        *(chosen(1, data) for data in (config, config[:-1], b"\xff", b"model_config_list {" * 2000)),
        *(chosen(2, data) for data in (good, escaping, linked, broken, good[:-9], b"", gzip.compress(b"x" * 2000))),
    ]


TARGETS = (
    Target(
        "messages",
        choosing(_payload, _action, _nlg, _cursor, _agenda),
        (ActionFailed, ActionRejected),
        _message_seeds,
    ),
    Target(
        "files",
        choosing(_training_body, _model_config, _archive),
        (ProjectError, ModelConfigError, BundleError),
        _file_seeds,
    ),
)
