"""What `run`, `shell` and `serve` refuse, before anything is started, in words that say what to do."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from support.action_servers import free_port
from support.commands import listening

Call = Callable[..., Result]


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("command", [["run"], ["shell"], ["shell", "nlu"], ["serve", "action"]])
def test_no_trained_model(call: Call, project: Path, command: list[str]) -> None:
    shutil.rmtree(project / "models")
    refused(call(*command), "no trained model here", "turnstream train")


@pytest.mark.parametrize("command", [["run"], ["shell"], ["serve", "action"]])
def test_damaged_bundle(call: Call, project: Path, command: list[str]) -> None:
    with (project / "models" / "first" / "domain.json").open("a") as file:
        file.write(" ")
    refused(call(*command), "domain.json", "damaged")


def test_bundle_of_another_version(call: Call, project: Path) -> None:
    manifest = project / "models" / "first" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    refused(call("run"), "format 99", "Train the assistant again")


def test_rest_port_that_is_taken(call: Call) -> None:
    with listening() as port:
        refused(call("run", "--port", str(port)), f"Port {port} on 127.0.0.1 is taken", "--port")


def test_grpc_port_that_is_taken(call: Call) -> None:
    with listening() as port:
        refused(call("run", "--port", "0", "--grpc-port", str(port)), f"Port {port}", "--grpc-port")
        refused(call("serve", "action", TURNSTREAM_GRPC_PORT=str(port)), f"Port {port}", "TURNSTREAM_GRPC_PORT")


def test_action_server_port_that_is_taken(call: Call) -> None:
    with listening() as port:
        refused(call("run", "actions", "--port", str(port)), f"Port {port}", "--port")


def test_one_port_for_two_doors(call: Call) -> None:
    port = str(free_port())
    refused(call("run", "--port", port, "--grpc-port", port), "cannot share")


def test_address_of_another_machine(call: Call) -> None:
    refused(call("run", "--interface", "192.0.2.1"), "192.0.2.1")
    refused(call("run", "--interface", "no.such.host.invalid"), "no address of this machine")


def test_unknown_settings(call: Call, project: Path) -> None:
    refused(call("run", TURNSTREAM_GATEWAY_PROT="1"), "TURNSTREAM_GATEWAY_PROT", "TURNSTREAM_GATEWAY_PORT")
    (project / "settings.yml").write_text("gateway: {prot: 1}\ntimeout: {nlu_s: soon}\n")
    refused(call("run", "--settings", "settings.yml"), "gateway.prot", "gateway.port", "timeout.nlu_s")
    refused(call("run", "--settings", "nowhere.yml"), "nowhere.yml does not exist")
    refused(call("run", TURNSTREAM_LOG_LEVEL="loud"), "loud", "debug")


def test_unknown_flag_and_port_that_is_none(call: Call) -> None:
    assert call("run", "--prot", "1").exit_code == 2
    assert call("run", "--port", "70000").exit_code == 2


def test_endpoints_and_credentials(call: Call, project: Path) -> None:
    refused(call("run", "--port", "0", "--endpoints", "nowhere.yml"), "nowhere.yml does not exist")
    (project / "endpoints.yml").write_text("action_endpoint: [what]\n")
    refused(call("run", "--port", "0"), "endpoints.yml", "action_endpoint")
    refused(call("run", "--port", "0", "--credentials", "nowhere.yml"), "nowhere.yml does not exist")
    (project / "credentials.yml").write_text("rest: [\n")
    refused(call("run", "--port", "0"), "credentials.yml")


def test_channels_that_cannot_be_opened(call: Call, project: Path) -> None:
    (project / "credentials.yml").write_text("rest:\ncallback:\n  uri: http://localhost\n")
    told = (
        "credentials.yml:2: The channel 'callback': 'url' is missing",
        "credentials.yml:3: The channel 'callback': unknown key 'uri'. Did you mean 'url'?",
    )
    refused(call("run", "--port", "0"), *told)
    refused(call("serve", "gateway", TURNSTREAM_GATEWAY_PORT="0", TURNSTREAM_ADDRESS_NLU="x:1"), *told)


def test_turn_log_of_another_version_or_program(call: Call, project: Path) -> None:
    path = project / "turns.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    result = call("run", "--port", "0", "--turn-log", str(path))
    assert (result.exit_code, "another program" in result.stderr) == (1, True)
    assert path.read_bytes() == before
    result = call("run", "--port", "0", "--turn-log", str(project))
    assert (result.exit_code, "cannot be opened" in result.stderr) == (1, True)


def test_turn_log_of_a_kind_that_is_not_there(call: Call) -> None:
    result = call("run", "--port", "0", TURNSTREAM_TURN_LOG_KIND="paper")
    assert (result.exit_code, "no 'paper' here" in result.stderr) == (1, True)


def test_service_that_does_not_know_whom_to_ask(call: Call) -> None:
    refused(call("serve", "conversation"), "TURNSTREAM_ADDRESS_NLU")
    refused(call("serve", "nlu", "selection", "policy", "conversation"), "TURNSTREAM_ADDRESS_ACTION")


def test_actions_that_are_not_there_or_fail(call: Call, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = str(free_port())
    refused(call("run", "actions", "-p", port, "--actions", "acts"), "no module 'acts'")
    refused(call("run", "actions", "-p", port, "--actions", "actions/actions.py"), "is a path")
    (project / "package").mkdir()
    (project / "package" / "__init__.py").touch()
    (project / "package" / "inner.py").write_text("import no_such_thing\n")
    refused(call("run", "actions", "-p", port, "--actions", "package"), "'no_such_thing'. Install what it comes from")
    (project / "broken_actions.py").write_text("import nothing_like_this\n")
    refused(call("run", "actions", "-p", port, "--actions", "broken_actions"), "nothing_like_this")
