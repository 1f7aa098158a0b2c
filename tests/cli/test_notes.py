"""What an author configured and `turnstream run` does without, said at the start."""

from pathlib import Path

from support.commands import RunningAssistant
from turnstream.assistant.reader import load_endpoints
from turnstream.cli.credentials import read_credentials
from turnstream.cli.serving import misread_endpoints, unused_endpoints
from turnstream.runtime.settings import Settings


def test_channels_that_are_not_served_are_named_with_their_line(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.yml"
    credentials.write_text("rest:\nslack:\n  slack_token: x\nrasa:\n  url: http://localhost:5002/api\n")
    (warning,) = read_credentials(credentials).warnings
    assert str(warning).startswith("credentials.yml:2: The channel 'slack' is not served. Bridge it")
    credentials.write_text("")
    assert read_credentials(credentials).warnings == ()
    assert read_credentials(None).channels == ()


def test_sections_of_endpoints_that_nothing_uses_are_named_with_what_does_their_work(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yml"
    sections = ("tracker_store:\n  type: SQL", "event_broker:\n  type: kafka", "lock_store:\n  type: redis")
    file.write_text(
        "\n".join((*sections, "models:\n  url: http://localhost/models", "nlg:\n  url: http://localhost:1"))
    )
    notes = [str(note) for note in unused_endpoints(load_endpoints(file), Settings())]
    told = [("tracker_store", "TURN_LOG_KIND"), ("event_broker", "export"), ("lock_store", "in order")]
    told.append(("model", "turnstream bundle install"))
    assert len(notes) == len(told)
    for line, note, (name, instead) in zip((1, 3, 5, 7), notes, told, strict=True):
        assert note.startswith(f"endpoints.yml:{line}: '{name}' is not used; ")
        assert instead in note


def test_a_name_that_endpoints_do_not_know_is_told_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yml"
    file.write_text("action_endpoints:\n  url: http://localhost:5055/webhook\n")
    (slip,) = misread_endpoints(file)
    assert str(slip).startswith("endpoints.yml:1: Unknown section 'action_endpoints'")
    assert "Did you mean 'action_endpoint'?" in str(slip)
    assert misread_endpoints(None) == []


def test_notes_and_log_go_where_they_are_asked_for(project: Path) -> None:
    (project / "endpoints.yml").write_text("tracker_store:\n  type: SQL\n  dialect: sqlite\n  db: rasa.db\n")
    (project / "credentials.yml").write_text("rest:\nslack:\n  slack_token: x\n")
    with RunningAssistant(
        "--cors", "shop.example", "-v", "--log-file", "run.log", "--placement", "together", cwd=project
    ) as assistant:
        assert assistant.ready().texts("hello") == ["Hello, I am small."]
        assert assistant.stop() == 0
        note = "endpoints.yml:1: 'tracker_store' is not used; conversations are kept in .turnstream/turns.db"
        assert note in assistant.errors
        assert "write https://shop.example" in assistant.errors
        assert "credentials.yml:2: The channel 'slack' is not served" in assistant.errors
    assert "serving turnstream.api.v1.Conversations" in (project / "run.log").read_text()


def test_without_a_flag_only_what_is_served_is_said(project: Path) -> None:
    with RunningAssistant(cwd=project) as assistant:
        lines = assistant.ready().lines
        assert [line.split()[0] for line in lines] == ["Loading", "REST", "gRPC", "turn", "The"]
        assert assistant.stop() == 0
        assert assistant.errors == ""
