"""`make test-containers` uses the Docker engine that answers, else one that it starts and ends; or says why not."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.containers import ROOT

DOCKERD = """#!/bin/sh
trap 'touch "$PROGRAMS/ended"; exit 0' TERM
echo $$ > "$PROGRAMS/pid"
touch "$PROGRAMS/answers"
while :; do sleep 0.05; done
"""
ANSWERS = '#!/bin/sh\ntest -e "$PROGRAMS/answers"\n'
ENDS_AT_ONCE = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("container_tests", ROOT / "scripts" / "container_tests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that is looked at first; this user counts as root."""
    monkeypatch.setenv("PROGRAMS", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def put(folder: Path, **programs: str) -> None:
    for name, text in programs.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)


def test_an_engine_that_answers_is_used_and_left_running(script: ModuleType, programs: Path) -> None:
    put(programs, docker=ANSWERS, dockerd=DOCKERD, answers="")
    with script.docker_engine():
        pass
    assert not (programs / "pid").exists()


def test_an_engine_is_started_where_none_answers_and_ended_with_the_tests(script: ModuleType, programs: Path) -> None:
    put(programs, docker=ANSWERS, dockerd=DOCKERD)
    with script.docker_engine():
        assert (programs / "answers").exists()
        assert not (programs / "ended").exists()
    assert (programs / "ended").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((programs / "pid").read_text()), 0)


def test_an_engine_that_does_not_start_is_said_in_one_line(
    script: ModuleType, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(programs, docker=ANSWERS, dockerd=ENDS_AT_ONCE)
    usual = signal.getsignal(signal.SIGTERM)
    try:
        assert script.main() == 0
    finally:
        signal.signal(signal.SIGTERM, usual)
    said = "Containers were not tested: no Docker engine answers, and `dockerd` does not start on this machine.\n"
    assert capsys.readouterr().out == said


def test_who_is_not_root_is_told_so(script: ModuleType, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(programs, docker=ANSWERS, dockerd=DOCKERD)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(script.CannotTest, match="only root can start one"), script.docker_engine():
        pass


def test_tests_that_are_ended_early_clean_up_and_the_engine_ends(programs: Path) -> None:
    """As by `timeout`: SIGTERM to the script, in the middle of its tests."""
    put(programs, docker=ANSWERS, dockerd=DOCKERD)
    code = (
        "import sys, os; sys.argv = ['x']; sys.path.insert(0, 'scripts'); os.geteuid = lambda: 0\n"
        "import container_tests as script\n"
        "tests = ('import sys, time, pathlib, os\\nfolder = pathlib.Path(os.environ[\"PROGRAMS\"])\\n'\n"
        "         'try:\\n print(\"begun\", flush=True)\\n while True: time.sleep(0.05)\\n'\n"
        "         'except KeyboardInterrupt:\\n (folder / \"clean\").touch()')\n"
        "script.find_compose = lambda: ()\n"
        "script.run_tests = lambda compose: script.run_to_its_end([sys.executable, '-c', tests], os.environ)\n"
        "sys.exit(script.main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert (programs / "clean").exists()
    assert (programs / "ended").exists()
