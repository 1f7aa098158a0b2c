"""Every action that was recorded with Rasa is run again on the tracker that it was run on, by real action servers."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.action_replay import differences, full_domain, service_for
from support.action_servers import ActionServers
from support.records import load_record, record_files, record_name
from support.shared import GOLDEN
from turnstream.action.action_server import ActionServerSettings

RECORDS = [path for path in record_files() if load_record(path).get("conversations")]

BETTER = {
    # Rasa drops everything that an action did where one of its events is unusable; here only that event is lost.
    ("surface/act-malformed-events[1] event 7", "action_emit"),
    ("surface/act-malformed-events[2] event 7", "action_emit"),
    ("surface/act-malformed-events[3] event 15", "action_emit"),
    ("surface/act-malformed-events[8] event 7", "action_emit"),
    # A follow-up without a name has no effect in Rasa; here it is reported.
    ("surface/act-malformed-events[7] event 7", "action_emit"),
    # A constraint without a value is refused when the domain is read; the record's reader takes it for null.
    ("surface/resp-condition-odd-type[1] event 5", "utter_two"),
}
"""Where a run differs on purpose: the place and the action."""

BY_CHANCE = {"knowledgebasebot"}
"""Objects come in random order."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[ActionServers]:
    async with ActionServers() as started:
        yield started


def project_of(record: Path) -> Path:
    return GOLDEN / "projects" / record.stem if record.parent == GOLDEN else record.parent


def has_actions(project: Path) -> bool:
    return (project / "actions.py").exists() or (project / "actions").exists()


NOT_OVER_GRPC = {
    "knowledgebasebot": "There are no integers: the SDK's knowledge base looks for the object '6.0'.",
    "concertbot": "The keys of an object have no order, and its replies show objects.",
}

OVER_GRPC = [path for path in RECORDS if has_actions(project_of(path)) and record_name(path) not in NOT_OVER_GRPC]


async def settings_for(project: Path, servers: ActionServers, *, grpc: bool) -> ActionServerSettings | None:
    return ActionServerSettings(await servers.url(project, grpc=grpc)) if has_actions(project) else None


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", RECORDS, ids=record_name)
async def test_a_recorded_action_makes_the_recorded_events(
    path: Path, servers: ActionServers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    await check(path, servers, monkeypatch)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", OVER_GRPC, ids=record_name)
async def test_a_custom_action_does_the_same_over_grpc(
    path: Path, servers: ActionServers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    await check(path, servers, monkeypatch, grpc=True)


async def check(path: Path, servers: ActionServers, monkeypatch: pytest.MonkeyPatch, *, grpc: bool = False) -> None:
    project = project_of(path)
    monkeypatch.syspath_prepend(str(project))  # for slot classes of the project's own
    domain = full_domain(load_record(path))
    service = service_for(domain, await settings_for(project, servers, grpc=grpc))
    compared = [d async for d in differences(path, service, domain, by_chance=record_name(path) in BY_CHANCE)]
    found = [d for d in compared if d is not None]
    await service.close()
    expected = {place for place in BETTER if place[0].startswith(f"{record_name(path)}[")}
    assert {(d.where, d.action) for d in found} == expected, "\n".join(map(str, found))
