"""Public Rasa 3 projects, unmodified but for the length of training: they train with their own config, and talk.

`make conformance` trains them in full (`--full`); by default a network is trained for two epochs.
"""

import asyncio
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.action_servers import ActionServers
from support.duckling import real_duckling
from support.shared import BOTS
from turnstream.assistant.bundle import open_bundle
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths
from turnstream.assistant.validation import load_project
from turnstream.cli.asked import asked_of
from turnstream.cli.examining import Subject
from turnstream.testing.harness import served, train_quietly
from turnstream.training.train import TrainingRequest

CONVERSATIONS = {
    "concertbot": (["/greet", "/search_concerts"], "Foo Fighters"),
    "formbot": (["/greet", '/request_restaurant{"cuisine": "chinese"}'], "How many people?"),
    "helpdesk-assistant": (["/greet"], "Hallo"),
    "initial-project": (["/greet", "/mood_unhappy"], "cheer you up"),
    "knowledgebasebot": (["/greet"], "H"),
    "responseselectorbot": (["/greet"], "Hey! How are you?"),
    "rules": (["/greet"], "utter_greet"),
}
WITHOUT_ACTIONS = {"helpdesk-assistant"}
"""Their actions do not run on today's packages (a function that ruamel.yaml no longer has)."""

REFUSED = {
    "e2ebot": "config.yml:6: LanguageModelFeaturizer needs a downloaded language model: use CountVectorsFeaturizer.",
    "moodbot": "config.yml:8: SpacyFeaturizer needs a downloaded spaCy model: use CountVectorsFeaturizer.",
    "reminderbot": "config.yml:14: SpacyNLP needs a downloaded spaCy model: remove it and use WhitespaceTokenizer.",
}


def shorten(config: Path, duckling: str, full: bool) -> None:
    """Two epochs for each network unless `full`, and the Duckling of this machine."""
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    for component in (*(content["pipeline"] or ()), *(content["policies"] or ())):
        if "epochs" in component and not full:
            component["epochs"] = 2
        if component["name"] == "DucklingEntityExtractor":
            component["url"] = duckling
    config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def say(url: str, text: str) -> list[dict[str, Any]]:
    body = json.dumps({"sender": "ada", "message": text}).encode()
    request = urllib.request.Request(f"{url}/webhooks/rest/webhook", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        replies: list[dict[str, Any]] = json.load(answer)
    return replies


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("bot", CONVERSATIONS)
async def test_a_project_trains_and_talks(
    bot: str, tmp_path: Path, servers: ActionServers, pytestconfig: pytest.Config
) -> None:
    source = tmp_path / "project"
    shutil.copytree(BOTS / bot, source)
    full = bool(pytestconfig.getoption("--full"))
    messages, expected = CONVERSATIONS[bot]
    async with real_duckling() as duckling:
        shorten(source / "config.yml", duckling, full)
        request = TrainingRequest(ProjectPaths.default(source), tmp_path / "models")
        bundle = (await asyncio.to_thread(train_quietly, request)).path
        has_actions = (source / "actions").exists() and bot not in WITHOUT_ACTIONS
        url = await servers.url(source) if has_actions else None
        async with served(bundle, tmp_path / "turns.db", url) as assistant:
            replies = [reply for text in messages for reply in await asyncio.to_thread(say, assistant.url, text)]
            failed = await failed_tests(source, Subject(asked_of(open_bundle(bundle), assistant.assembly)), full)
    assert expected in " ".join(str(reply) for reply in replies)
    assert failed == []


async def failed_tests(source: Path, subject: Subject, full: bool) -> list[str]:
    """The project's own test conversations that fail: by what they say of each message, and by its text if `full`."""
    tests = load_project(ProjectPaths.default(source)).project.tests
    assert bool(tests) == ((source / "tests").is_dir())
    played = [result for test in tests for result in await subject.play(test, end_to_end=full)]
    return [f"{result.story.name}: {result.wrong}" for result in played if not result.is_right]


@pytest.mark.parametrize("bot", REFUSED)
def test_a_project_that_needs_a_downloaded_model_is_told_what_to_use(bot: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as refusal:
        train_quietly(TrainingRequest(ProjectPaths.default(BOTS / bot), tmp_path / "models"))
    assert REFUSED[bot] in str(refusal.value).splitlines()
    assert not list(tmp_path.iterdir())
