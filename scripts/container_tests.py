"""Build the images and test on containers: `make test-containers`.

Says in one line where that cannot be: no Docker engine answers and none can be started, or there is no Compose.
The official images of Kafka and TensorFlow Serving are used where they can be had, otherwise what is built here.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAG = "tests"
IMAGES = ("service", "trainer", "actions", "kafka")
COMPOSES = (("docker", "compose"), ("docker-compose",))
ENGINE_START_S = 60.0
CLEANING_UP_S = 45.0
"""For tests that are ended early, to remove their containers."""
CANNOT_BUILD = 3
"""What scripts/images.py ends with where the machine lacks an engine with BuildKit, or a base."""


class CannotTest(RuntimeError):
    """Why, in one line."""


def main() -> int:
    # Ended early, as by `timeout`: tests remove their containers, and an engine of our own ends.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with docker_engine():
            compose = find_compose()
            return run_tests(compose)
    except CannotTest as reason:
        print(f"Containers were not tested: {reason}")
        return 0


def run_tests(compose: tuple[str, ...]) -> int:
    """The exit code of the first command that fails, or 0."""
    python = sys.executable
    built = subprocess.run([python, "scripts/images.py", "--tag", TAG, *IMAGES], cwd=ROOT, check=False)
    if built.returncode == CANNOT_BUILD:
        raise CannotTest("no images can be built on this machine, for the reason above.")
    if built.returncode:
        return built.returncode
    official = all(pulled(image) for image in official_images())
    print(
        "on the official images of Kafka and TensorFlow Serving"
        if official
        else "on a Kafka image and a model server made here"
    )
    sys.stdout.flush()
    environment = os.environ | {
        "TURNSTREAM_TEST_TAG": TAG,
        "TURNSTREAM_TEST_COMPOSE": " ".join(compose),
        "TURNSTREAM_TEST_OFFICIAL": "yes" if official else "no",
    }
    chosen = sys.argv[1:] or ["tests/containers"]
    command = [python, "-m", "pytest", "--containers", "-s", "--timeout=900", *chosen]
    return run_to_its_end(command, environment)


def run_to_its_end(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code. Where this process is to end, the other one is given time to clean up."""
    # A session of its own: `timeout` signals the whole group, and who is killed at once cleans nothing up.
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(CLEANING_UP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def official_images() -> list[str]:
    """Those that docker/compose.yaml names, at their default versions."""
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    images = re.findall(r"^\s+image: ((?:apache|tensorflow)/\S+)", text, re.MULTILINE)
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", image) for image in images]


def pulled(image: str) -> bool:
    return succeeds("docker", "image", "inspect", image) or succeeds("docker", "pull", "--quiet", image)


@contextlib.contextmanager
def docker_engine() -> Iterator[None]:
    """One that answers: that which runs, or else one of our own until the end. Raises CannotTest."""
    if shutil.which("docker") is None:
        raise CannotTest("Docker is not installed.")
    if succeeds("docker", "version"):
        yield
        return
    if os.geteuid() or shutil.which("dockerd") is None:
        raise CannotTest("no Docker engine answers, and only root can start one (`dockerd`).")
    with tempfile.TemporaryFile() as log:
        engine = subprocess.Popen(["dockerd"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _await_engine(engine)
            yield
        finally:
            engine.terminate()
            engine.wait()


def _await_engine(engine: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + ENGINE_START_S
    while not succeeds("docker", "version"):
        if engine.poll() is not None or time.monotonic() > deadline:
            raise CannotTest("no Docker engine answers, and `dockerd` does not start on this machine.")
        time.sleep(0.2)


def find_compose() -> tuple[str, ...]:
    """Raises CannotTest."""
    for command in COMPOSES:
        if succeeds(*command, "version"):
            return command
    raise CannotTest("Docker Compose is not installed.")


def succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
