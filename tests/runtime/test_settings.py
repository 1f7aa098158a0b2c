from pathlib import Path

import pytest
from turnstream.runtime.settings import SettingsError, load_settings, settings_table


def test_environment_wins_over_file_and_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "turnstream.yml"
    file.write_text("grpc:\n  host: 0.0.0.0\n  port: 7000\nlog: {json: true}\n")
    settings = load_settings(file, {"TURNSTREAM_GRPC_PORT": "7001", "HOME": "/"})
    assert (settings.grpc.host, settings.grpc.port) == ("0.0.0.0", 7001)
    assert settings.log.json is True
    assert settings.gateway.port == 5005


def test_overrides_win_over_all() -> None:
    settings = load_settings(None, {"TURNSTREAM_GATEWAY_PORT": "1"}, {"gateway.port": 2})
    assert settings.gateway.port == 2


def test_the_limit_on_actions_may_be_said_as_to_rasa_and_ours_counts_first() -> None:
    rasa = {"MAX_NUMBER_OF_PREDICTIONS": "7"}
    ours = {**rasa, "TURNSTREAM_CONVERSATION_MAX_ACTIONS": "8"}
    limits = [load_settings(environment=variables).conversation.max_actions for variables in ({}, rasa, ours)]
    assert limits == [10, 7, 8]


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "turnstream.yml"
    file.write_text("grpc:\n  prot: 7000\n  drain_timeout_s: soon\nother: 1\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {"TURNSTREAM_LOG_LEVELS": "debug", "TURNSTREAM_LOG_JSON": "perhaps"})
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 5
    assert "unknown setting 'grpc.prot'; did you mean 'grpc.port'?" in text
    assert "TURNSTREAM_LOG_LEVELS; did you mean 'TURNSTREAM_LOG_LEVEL'?" in text
    assert "grpc.drain_timeout_s: 'soon' is not a float" in text
    assert "log.json: 'perhaps' is not a bool" in text


@pytest.mark.parametrize("content", ["- a\n", "a: [", "\x00"])
def test_broken_file_is_a_named_problem(tmp_path: Path, content: str) -> None:
    file = tmp_path / "turnstream.yml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"turnstream\.yml"):
        load_settings(file, {})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("no", False), ("1", True), ("OFF", False)])
def test_words_for_booleans(text: str, value: bool) -> None:
    assert load_settings(None, {"TURNSTREAM_LOG_JSON": text}).log.json is value


def test_table_names_every_setting_once_with_a_meaning() -> None:
    rows = settings_table()
    assert len({r.name for r in rows}) == len(rows)
    assert all(r.meaning for r in rows)
    assert all(r.unit == "s" for r in rows if r.name.endswith("_s"))
    assert all(r.unit == "bytes" for r in rows if r.name.endswith("_bytes"))
    port = next(r for r in rows if r.name == "gateway.port")
    assert (port.variable, port.type, port.default) == ("TURNSTREAM_GATEWAY_PORT", "int", 5005)
