"""An assistant with a form, trained in a moment, whose inspector is open."""

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from turnstream.assistant.reader import ProjectPaths
from turnstream.testing.harness import Served, served, train_quietly
from turnstream.training.train import TrainingRequest

FILES = {
    "config.yml": """
recipe: default.v1
assistant_id: orders
language: en
pipeline:
  - name: WhitespaceTokenizer
  - name: KeywordIntentClassifier
  - name: FallbackClassifier
    threshold: 0.5
policies:
  - name: MemoizationPolicy
  - name: RulePolicy
""",
    "domain.yml": """
version: "3.1"
intents: [greet, order, inform]
entities: [city]
slots:
  city:
    type: text
    mappings:
      - type: from_entity
        entity: city
forms:
  order_form:
    required_slots: [city]
responses:
  utter_greet:
    - text: Hello.
      buttons:
        - {title: Order, payload: /order}
  utter_ask_city:
    - text: Where to?
  utter_ordered:
    - text: It comes to {city}.
  utter_rephrase:
    - text: I did not get that.
""",
    "data/nlu.yml": """# What people say.
version: "3.1"

nlu:
  # The beginning.
  - intent: greet
    examples: |
      - hello
      - hi

  - intent: order   # of anything
    examples: |
      - order
  - intent: inform
    examples: |
      - to [Berlin](city)

  # The end.
  - synonym: Berlin
    examples: |
      - the capital
""",
    "data/rules.yml": """
version: "3.1"
rules:
  - rule: say hello
    steps:
      - intent: greet
      - action: utter_greet
  - rule: begin an order
    steps:
      - intent: order
      - action: order_form
      - active_loop: order_form
  - rule: end an order
    condition:
      - active_loop: order_form
    steps:
      - action: order_form
      - active_loop: null
      - action: utter_ordered
  - rule: not understood
    steps:
      - intent: nlu_fallback
      - action: utter_rephrase
""",
}


def write_orders(folder: Path, **replaced: str) -> Path:
    """`replaced` gives other contents by file name with underscores (`domain_yml`)."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(replaced.get(name.replace("/", "_").replace(".", "_"), content), encoding="utf-8")
    return folder


def trained(folder: Path, **replaced: str) -> Path:
    """The project's folder; its bundle is in `models`."""
    write_orders(folder, **replaced)
    train_quietly(TrainingRequest(ProjectPaths.default(folder), folder / "models"))
    return folder


@dataclass(frozen=True)
class Inspected:
    """`http` has the address of the REST door; `project` is a copy of the project's files."""

    served: Served
    http: aiohttp.ClientSession
    project: Path

    async def say(self, text: str, sender: str = "ada") -> list[Any]:
        body = {"sender": sender, "message": text, "message_id": None}
        async with self.http.post("/webhooks/rest/webhook", json=body) as response:
            assert response.status == 200
            return json.loads(await response.text())  # type: ignore[no-any-return]

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.http.get(f"/inspector/api/{path}") as response:
            answer = json.loads(await response.text())
            assert response.status == status, answer
            return answer

    async def post(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        async with self.http.post(f"/inspector/api/{path}", json=body, headers=headers) as response:
            answer = json.loads(await response.text())
            assert response.status == status, answer
            return answer


@asynccontextmanager
async def inspected(
    source: Path, folder: Path, *, data: Sequence[str] = (), **settings: str | int | float | bool
) -> AsyncIterator[Inspected]:
    """`source` was trained; what is written goes to a copy in `folder`, whose training data are in `data`."""
    project = folder / "project"
    shutil.copytree(source, project, ignore=shutil.ignore_patterns("models"))
    bundle = next(iter((source / "models").iterdir()))
    log = folder / "turns.db"
    async with (
        served(bundle, log, inspects=True, project=project, data=data, **settings) as assistant,
        aiohttp.ClientSession(assistant.url) as http,
    ):
        yield Inspected(assistant, http, project)


async def events_of(response: aiohttp.ClientResponse, count: int) -> list[tuple[str, int | None, Any]]:
    """So many server-sent events: kind, id and data."""
    found: list[tuple[str, int | None, Any]] = []
    fields: dict[str, str] = {}
    while len(found) < count:
        raw = await response.content.readline()
        assert raw, f"the stream ended after {found}"
        line = raw.decode().rstrip("\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            number = int(fields["id"]) if "id" in fields else None
            found.append((fields["event"], number, json.loads(fields["data"])))
            fields = {}
    return found


async def turns_from(stream: aiohttp.ClientResponse, count: int) -> list[tuple[int | None, Any]]:
    """So many turns, by number; that a message is under way may or may not be told before."""
    found: list[tuple[int | None, Any]] = []
    while len(found) < count:
        found += [(number, data) for kind, number, data in await events_of(stream, 1) if kind == "turn"]
    return found
