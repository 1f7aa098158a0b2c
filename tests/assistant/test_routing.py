"""Reading a project that shares its conversations with another engine, and what is wrong in one."""

from pathlib import Path

import pytest
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths
from turnstream.assistant.routing import IntentRouter
from turnstream.assistant.validation import load_project
from turnstream.authoring.validation import examine

ROUTER = "{nlu_entry: {sticky: order, non_sticky: [chat]}, calm_entry: {sticky: [travel]}}"
SLOT = "{type: bool, influence_conversation: false}"


def write(folder: Path, router: str = ROUTER, slot: str | None = SLOT, flows: str = "", pipeline: str = "") -> Path:
    body = f", {router[1:-1]}" if router.strip("{}") else ""
    files = {
        "config.yml": f"pipeline: [{{name: WhitespaceTokenizer}}, {{name: KeywordIntentClassifier}}, "
        f"{{name: IntentBasedRouter{body}}}{pipeline}]\npolicies: [{{name: RulePolicy}}]",
        "domain.yml": "intents: [order, chat, travel, holiday]\nresponses: {utter_hi: [{text: hi}]}\n"
        + (f"slots: {{route_session_to_calm: {slot}}}" if slot else ""),
        "data.yml": "nlu: [{intent: order, examples: '- pizza'}]\n"
        "rules: [{rule: a, steps: [{intent: chat}, {action: utter_hi}, {action: action_reset_routing}]}]\n" + flows,
        "endpoints.yml": "calm_endpoint: {url: grpc://localhost:5056}",
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def paths(folder: Path) -> ProjectPaths:
    files = [folder / name for name in ("config.yml", "domain.yml", "data.yml", "endpoints.yml")]
    return ProjectPaths(folder, files[0], (files[1],), (files[2],), files[3])


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(ProjectError) as caught:
        load_project(paths(folder))
    return [str(p) for p in caught.value.problems]


def test_what_is_documented_is_read_without_a_word(tmp_path: Path) -> None:
    read = load_project(paths(write(tmp_path)))
    assert [w for w in map(str, read.warnings) if "oute" in w] == []
    assert read.project.endpoints.calm is not None
    router = IntentRouter.of_config(read.project.config)
    assert router is not None
    routes = {intent: router.route(intent) for intent in ("order", "chat", "travel", "holiday", None)}
    assert routes == {"order": False, "chat": None, "travel": True, "holiday": False, None: False}


def test_what_the_other_engine_may_use_is_not_called_unused(tmp_path: Path) -> None:
    written = write(tmp_path)
    domain = (written / "domain.yml").read_text(encoding="utf-8")
    shared = "\n  name: {type: text, shared_for_coexistence: true, mappings: [{type: custom}]}"
    slots = f"slots:\n  route_session_to_calm: {SLOT}{shared}"
    (written / "domain.yml").write_text(domain.split("slots:")[0] + slots, encoding="utf-8")
    found = examine(paths(written))
    assert [p for p in map(str, found.warnings) if "slot" in p] == []


def test_an_intent_that_starts_a_flow_is_for_the_other_engine_unless_a_list_names_it(tmp_path: Path) -> None:
    flows = "flows: {trip: {nlu_trigger: [{intent: {name: holiday}}, {intent: order}], steps: [{action: x}]}}"
    read = load_project(paths(write(tmp_path, flows=flows)))
    router = IntentRouter.of_config(read.project.config)
    assert router is not None
    assert [router.route(intent) for intent in ("holiday", "order")] == [True, False]


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ("{}", "'nlu_entry' needs 'sticky' with at least one intent."),
        ("{nlu_entry: {sticky: order}, calm_entry: {sticky: travel}}", "'nlu_entry' needs 'non_sticky'"),
        ("{nlu_entry: {sticky: order, non_sticky: chat}, calm_entry: {sticky: []}}", "'calm_entry' needs 'sticky'"),
        ("{nlu_entry: {sticky: 3, non_sticky: chat}, calm_entry: {sticky: travel}}", "'nlu_entry' must be"),
        (
            "{nlu_entry: {sticky: ordr, non_sticky: chat}, calm_entry: {sticky: travel}}",
            "the intent 'ordr' of 'nlu_entry.sticky' is not in the domain. Did you mean 'order'?",
        ),
        (
            "{nlu_entry: {sticky: order, non_sticky: chat}, calm_entry: {sticky: order}}",
            "the intent 'order' is in 'nlu_entry.sticky' and in 'calm_entry.sticky'",
        ),
    ],
)
def test_a_faulty_router_is_refused(tmp_path: Path, router: str, message: str) -> None:
    assert any(message in p and p.startswith("config.yml:1") for p in problems_of(write(tmp_path, router)))


@pytest.mark.parametrize("slot", ["{type: text, influence_conversation: false}", "{type: bool}"])
def test_the_slot_of_the_router_must_be_what_it_needs(tmp_path: Path, slot: str) -> None:
    (problem,) = problems_of(write(tmp_path, slot=slot))
    assert problem.startswith("domain.yml:3: The slot 'route_session_to_calm' must be a bool")


def test_the_slot_of_the_router_must_be_there(tmp_path: Path) -> None:
    assert any("needs the slot 'route_session_to_calm'" in p for p in problems_of(write(tmp_path, slot=None)))


def test_a_slot_that_a_flow_persists_must_be_there(tmp_path: Path) -> None:
    flows = "flows: {trip: {persisted_slots: [nam], steps: [{action: x}]}}"
    (problem,) = problems_of(write(tmp_path, flows=flows))
    assert "The flow 'trip' persists the slot 'nam', which is not in the domain." in problem


@pytest.mark.parametrize("name", ["FlowPolicy", "CompactLLMCommandGenerator", "LLMBasedRouter"])
def test_what_the_other_engine_runs_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (problem,) = problems_of(write(tmp_path, pipeline=f", {{name: {name}}}"))
    assert name in problem
    assert "Remove it" in problem or "Use IntentBasedRouter" in problem
