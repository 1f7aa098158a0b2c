"""Whatever a command refuses, it says what to do next."""

from collections.abc import Callable

import pytest
from click.testing import Result

Call = Callable[..., Result]

REFUSED = {
    "trian": "Did you mean 'train'?",
    "talk": "There are: init, train, shell",
    "data valdate": "Did you mean 'validate'?",
    "run action": "Did you mean 'actions'?",
    "rollout sable": "Did you mean 'stable'?",
    "train --epochs 3": "train --help' for help.",
    "train --domain domian.yml": "Did you mean 'domain.yml'?",
    "train --data nowhere": "It was looked for in ",
    "train --data nowhere/data": "There is no folder ",
    "train --finetune nowhere": "Run 'turnstream train' first.",
    "train --fixed-model-name a/b": "--out says where bundles go",
    "shell --model nowhere": "Run 'turnstream train' first.",
    "test --stories dat": "Did you mean 'data'?",
    "test core --stories data": "Write some, or name files with --stories and --nlu.",
    "run --settings setings.yml": "It was looked for in ",
    "run --placement side": "is not one of 'together', 'apart'",
    "run --model .": "name that folder",
    "run --data data": "it needs --inspect",
    "run --inspect --data dta": "Did you mean 'data'?",
    "run --inspect --data /": "start this in a folder that holds all of the project",
    "run --jwt-secret x --jwt-method HS257": "there are ES256, ",
    "train --config data": "name the file",
    "run --watch --model models/x": "name one with --model",
    "run actions --actions nothing": "name it with --actions",
    "replay --log nowhere.db": "Name it with --log; 'turnstream run' makes one.",
    "replay --until yesterday": "write 2026-11-22T08:00:00Z",
    "replay --until-offset 3": "write PARTITION:OFFSET, such as 3:1200",
    "export --log domain.yml": "Move it away, or name another file.",
    "import rasa.db": "It was looked for in ",
    "import domain.yml": "What can be: the SQLite file of a Rasa tracker store",
    "erase ada --turn-log nowhere.db": "It was looked for in ",
    "bundle install config.yml": "give a folder that 'turnstream train' wrote, or a .tar.gz of one",
    "bundle install nowhere": "Run 'turnstream train' first.",
    "rollout canary nowhere --share 0.1": "'turnstream train' writes one",
    "rollout canary first --share 2": "is not in the range 0<=x<=1",
    "health --address nowhere": "write host:port",
    "health --address 127.0.0.1:1 --timeout 1": "--address names another",
    "serve nul": "is not one of 'nlu', 'selection'",
    "serve conversation": "Set TURNSTREAM_ADDRESS_NLU to its host:port.",
    "data split nlu --nlu nowhere": "It was looked for in ",
    "data split stories --stories domain.yml": "Name other files with --stories.",
    "completion csh": "is not one of 'bash', 'zsh', 'fish'",
    "init .": "choose an empty folder",
    "model-server": "--models FOLDER or --model-config FILE",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_refusal_says_what_to_do(call: Call, line: str) -> None:
    result = call(*line.split())
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert REFUSED[line] in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["train", "data validate", "visualize", "interactive"])
def test_a_folder_without_a_project_says_how_to_make_one(
    call: Call, command: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    result = call(*command.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Go to the project's folder, or make one with 'turnstream init'." in result.stderr
