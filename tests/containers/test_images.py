"""The images: what is in them, who they run as, and that a second build gives the same files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.containers import ROOT, TAG, docker, inspect

SERVICE, TRAINER = f"turnstream/service:{TAG}", f"turnstream/trainer:{TAG}"
HARDENED = ("--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
OWN_BYTES = 115_000_000
"""What the service image adds to its base; the default base takes less than the rest of 250 MB."""
LIST_FILES = """
import hashlib, os, sys
for folder, folders, names in os.walk("/opt/turnstream"):
    folders.sort()
    for name in sorted(names):
        path = os.path.join(folder, name)
        status = os.lstat(path)
        content = os.readlink(path).encode() if os.path.islink(path) else open(path, "rb").read()
        print(path, oct(status.st_mode), status.st_mtime_ns, hashlib.sha256(content).hexdigest())
"""


def python(image: str, code: str) -> str:
    return docker("run", *HARDENED, "--entrypoint", "python", image, "-c", code)


def layers_bytes(image: str) -> int:
    """Of the files that our own instructions put in: all layers with a COPY or RUN of docker/Dockerfile."""
    lines = docker(
        "history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", image
    ).splitlines()
    own = [line.partition("\t") for line in lines]
    return sum(int(size) for size, _, made_by in own if "turnstream" in made_by)


def test_the_service_image_is_small() -> None:
    assert layers_bytes(SERVICE) < OWN_BYTES
    assert inspect(SERVICE)["Size"] < 250_000_000


def test_the_service_image_has_no_tensorflow_and_no_pip() -> None:
    code = "import importlib.util as u; print([m for m in ('tensorflow', 'keras', 'pip', 'pytest') if u.find_spec(m)])"
    assert python(SERVICE, code) == "[]"


def test_the_service_image_has_nothing_to_build_with() -> None:
    look = "import shutil; print([p for p in ('gcc', 'cc', 'g++', 'make', 'strip', 'git', 'curl') if shutil.which(p)])"
    assert python(SERVICE, look) == "[]"


def test_every_service_can_be_imported_under_a_root_that_nobody_can_write() -> None:
    code = (
        "import turnstream.cli.assembly, turnstream.turnlog.kafka.log, os; print(os.getuid(), os.access('/', os.W_OK))"
    )
    assert python(SERVICE, code) == "10001 False"


@pytest.mark.parametrize("image", [SERVICE, TRAINER])
def test_an_image_says_what_it_is_and_runs_as_nobody_in_particular(image: str) -> None:
    config = inspect(image)["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["turnstream"]
    assert config["Healthcheck"]["Test"] == ["CMD", "turnstream", "health"]
    assert docker("run", *HARDENED, image, "--version") == f"turnstream {labels['version']}"
    assert labels["revision"] not in ("", "unknown")
    assert {"licenses", "title", "description", "base.name"} <= labels.keys()


@pytest.mark.parametrize("image", [SERVICE, TRAINER])
def test_an_image_tells_nothing_of_the_registry_that_it_was_built_from(image: str) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    look = "import glob; print(glob.glob('/etc/pip.conf') + glob.glob('/run/secrets/*'))"
    assert python(image, look) == "[]"
    assert "index" not in history + json.dumps(inspect(image)["Config"]["Env"])


def test_a_second_build_gives_the_same_files() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "images.py"), "service", "--tag", f"{TAG}-again", "--no-cache"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    again = f"turnstream/service:{TAG}-again"
    try:
        files = python(SERVICE, LIST_FILES).splitlines()
        assert python(again, LIST_FILES).splitlines() == files
        assert len(files) > 1000
    finally:
        docker("rmi", again)


@pytest.mark.parametrize("arguments", [("train", "--out", "/tmp/bundles"), ("model-server", "--models", "/bundles")])
def test_the_first_process_heeds_sigterm_while_it_starts(arguments: tuple[str, ...], tmp_path: Path) -> None:
    name = f"turnstream-test-{tmp_path.name}".replace("[", "-").replace("]", "")
    mount = ("--volume", f"{ROOT / 'examples' / 'cafe'}:/project:ro")
    docker("run", "--detach", "--name", name, *HARDENED[1:], *mount, TRAINER, *arguments)
    follow = ["docker", "logs", "--follow", name]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as logs:
        try:
            assert logs.stdout is not None
            assert logs.stdout.readline()
            docker("stop", "--time", "60", name)
            code = inspect(name)["State"]["ExitCode"]
        finally:
            docker("rm", "--force", name)
    assert code in (0, 143)
