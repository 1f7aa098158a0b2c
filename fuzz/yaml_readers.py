"""What an author or operator writes: projects, credentials, settings, plans of a rollout."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths
from turnstream.assistant.validation import load_project
from turnstream.cli.credentials import read_credentials
from turnstream.cli.errors import CommandError
from turnstream.runtime.rollout import PlanError, parse_plan
from turnstream.runtime.settings import SettingsError, load_settings

from fuzz.target import Target, choosing, chosen

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
)
"""A billion items in 400 bytes, for who copies what an alias names."""
DEEP = b"[" * 5000
FILES: dict[str, bytes] = {
    "domain.yml": b"""version: "3.1"
intents: [greet, {deny: {use_entities: [city]}}]
entities: [city, {size: {roles: [from], groups: ["1"]}}]
actions: [action_x]
slots:
  city: {type: text, initial_value: null, mappings: [{type: from_entity, entity: city, conditions: [{active_loop: f}]}]}
  level: {type: float, min_value: 0, max_value: 1e3, mappings: [{type: custom}]}
  kind: {type: categorical, values: [a, b], mappings: [{type: from_intent, intent: greet, value: a}]}
forms: {f: {required_slots: [city], ignored_intents: [deny]}}
responses:
  utter_greet:
  - text: "hi {city}"
    condition: [{type: slot, name: city, value: x}]
    buttons: [{title: Yes, payload: /greet}]
    custom: {a: [1, 2.5, true]}
session_config: {session_expiration_time: 60, carry_over_slots_to_new_session: true}
e2e_actions: [Hello]
""",
    "data/nlu.yml": b"""version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello from [Berlin](city)
    - a [big]{"entity": "size", "role": "from", "value": "large"} one
- intent: deny
  examples:
  - text: |
      - no
    metadata: {sentiment: bad}
- synonym: large
  examples: |
    - big
- regex: zip
  examples: |
    - \\d{5}
- lookup: city
  examples: |
    - Rome
""",
    "data/stories.yml": b"""version: "3.1"
stories:
- story: one
  steps:
  - intent: greet
    entities: [{city: Berlin}, {size: large, role: from}]
  - or: [{intent: greet}, {slot_was_set: [{city: x}]}]
  - action: utter_greet
  - checkpoint: c
- story: two
  steps:
  - checkpoint: c
    slot_was_set: [city: null]
  - user: |
      hello [Rome](city)
  - bot: Hello
  - active_loop: f
rules:
- rule: r
  condition: [{active_loop: null}, {slot_was_set: [{level: 1}]}]
  conversation_start: true
  wait_for_user_input: false
  steps: [{intent: deny}, {action: action_x}]
""",
    "config.yml": b"""recipe: default.v1
language: en
assistant_id: a
pipeline: [{name: WhitespaceTokenizer, token_pattern: '(?u)x'}, {name: DIETClassifier, epochs: 1}]
policies: [{name: RulePolicy, core_fallback_threshold: 0.3}, {name: MemoizationPolicy, max_history: 3}]
""",
    "endpoints.yml": b"""action_endpoint: {url: "http://127.0.0.1:5055/webhook", token: "${TOKEN}"}
tracker_store: {type: sql, port: 1}
""",
    "tests/test_stories.yml": b"""stories:
- story: t
  steps:
  - user: |
      hello [Rome](city)
    intent: greet
  - action: utter_greet
""",
}


@cache
def _folder() -> Path:
    place = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="turnstream-fuzz-", dir=place if place.is_dir() else None))


@cache
def _project() -> Path:
    for name, content in FILES.items():
        (_folder() / name).parent.mkdir(parents=True, exist_ok=True)
        (_folder() / name).write_bytes(content)
    return _folder()


def clean_up() -> None:
    """Remove what the readers were given to read."""
    shutil.rmtree(_folder(), ignore_errors=True)
    _folder.cache_clear()
    _project.cache_clear()


def _project_with(name: str) -> Callable[[bytes], object]:
    """Read a project that is good but for one file."""

    def read(data: bytes) -> object:
        file = _project() / name
        file.write_bytes(data)
        try:
            return load_project(ProjectPaths.default(_project()))
        finally:
            file.write_bytes(FILES[name])

    return read


def _from_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def written(data: bytes) -> object:
        file = _folder() / "input"
        file.write_bytes(data)
        return read(file)

    return written


def _plan(data: bytes) -> object:
    return parse_plan(data.decode(errors="replace")).named


_OPERATORS = (_from_file(read_credentials), _from_file(lambda file: load_settings(file, {})), _plan)


def _project_seeds() -> Sequence[bytes]:
    hostile = (b"", BOMB, DEEP, b"? [a]\n: b\n", b"version: 0x\n", b"a: &a\n  b: *a\n", b"\xff", b"<<: {a: 1}\n")
    good = [chosen(number, content) for number, content in enumerate(FILES.values())]
    return [*good, *(chosen(number, part) for number in range(len(FILES)) for part in hostile)]


def _operator_seeds() -> Sequence[bytes]:
    hostile = (b"", BOMB, DEEP, b"a: 2020-13-45\n", b"{a: b}: c\n", b"- 1\n", b"!!python/name:os.system\n")
    good = (
        chosen(0, b"rest:\ncmdline:\nslack: {slack_token: x}\n"),
        chosen(1, b"gateway: {port: 5005, enable_api: true}\nlog: {level: debug}\n"),
        chosen(2, b"stable: '20261122'\ncanary: {version: b, share: 0.3}\n"),
        chosen(2, b"stable: x\n" + BOMB + b"canary: {version: b, share: *j}\n"),
        chosen(2, BOMB + b"stable: *j\n"),
    )
    return [*good, *(chosen(number, part) for number in range(len(_OPERATORS)) for part in hostile)]


TARGETS = (
    Target("projects", choosing(*map(_project_with, FILES)), (ProjectError,), _project_seeds),
    Target("operators", choosing(*_OPERATORS), (CommandError, SettingsError, PlanError), _operator_seeds),
)
