"""Build the container images: `make images` (BASE, TAG and IMAGES may be given).

The default base is the official Python image. Where it cannot be pulled, root can make one from Debian's packages with
debootstrap, which is said. pip reads the same configuration in the build as on this machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OFFICIAL_BASE = "python:3.11-slim-bookworm"
LOCAL_BASE = "turnstream/base:bookworm"
DEBIAN_PACKAGES = "python3.11,python3.11-venv,python3-distutils,ca-certificates"
NOT_NEEDED = (
    *("var/lib/apt/lists", "var/cache", "var/log", "debootstrap"),
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
)

CERTIFICATES = "/run/secrets/ca"
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


CANNOT_BUILD = 3
"""The exit code where the machine lacks what every image needs: an engine, BuildKit, a base."""


class NotBuilt(RuntimeError):
    """Why there is no image, and what to do about it."""


class CannotBuild(NotBuilt):
    """This machine lacks what every image needs."""


@dataclass(frozen=True, slots=True)
class Docker:
    """A client that builds with BuildKit."""

    program: str
    no_cache: bool = False

    def run(self, *arguments: str, quiet: bool = False) -> None:
        """Raises NotBuilt."""
        output = subprocess.PIPE if quiet else None
        environment = os.environ | {"DOCKER_BUILDKIT": "1"}
        command = [self.program, *arguments]
        done = subprocess.run(command, env=environment, stdout=output, stderr=output, text=True, check=False)
        if done.returncode:
            raise NotBuilt(f"docker {' '.join(arguments[:2])} failed: {(done.stderr or '').strip() or 'see above'}")

    def has(self, image: str) -> bool:
        return _succeeds(self.program, "image", "inspect", image)


Builder = Callable[[Docker, str, str], None]
"""Takes the client, the base and the name of the image."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", choices=[[], *BUILDERS], metavar="IMAGE", help=f"{', '.join(BUILDERS)}")
    parser.add_argument("--base", default="", help=f"image to build on (default: {OFFICIAL_BASE})")
    parser.add_argument("--tag", default="dev", help="tag of the images (default: %(default)s)")
    parser.add_argument("--no-cache", action="store_true", help="build each layer anew")
    arguments = parser.parse_args()
    try:
        docker = find_docker(arguments.no_cache)
        base = arguments.base or find_base(docker)
        check_engine(docker, base)
        for image in arguments.images or ("service", "trainer"):
            name = f"turnstream/{image}:{arguments.tag}"
            BUILDERS[image](docker, base, name)
            print(f"built {name} on {base}", flush=True)
    except NotBuilt as error:
        print(error, file=sys.stderr)
        return CANNOT_BUILD if isinstance(error, CannotBuild) else 1
    return 0


def find_docker(no_cache: bool = False) -> Docker:
    """A client that reaches an engine and builds with BuildKit: one with buildx, or an older one that needs none.

    Raises CannotBuild, NotBuilt.
    """
    programs = [p for folder in os.get_exec_path() if os.access(p := f"{folder}/docker", os.X_OK)]
    if not programs:
        raise CannotBuild("Images need Docker: `docker` is not on the PATH.")
    if not any(_succeeds(program, "version", "--format", "{{.Server.Version}}") for program in programs):
        raise CannotBuild("Images need a Docker engine: none answers. Start one, or set DOCKER_HOST.")
    for program in programs:
        version = _output(program, "version", "--format", "{{.Client.Version}}").partition(".")[0]
        if _succeeds(program, "buildx", "version") or (version.isdecimal() and 18 < int(version) < 23):
            return Docker(program, no_cache)
    raise CannotBuild("Images need BuildKit: install Docker's buildx plugin (or Debian's docker.io).")


def find_base(docker: Docker) -> str:
    """The official base, or one made here where no registry answers. Raises CannotBuild, NotBuilt."""
    if docker.has(OFFICIAL_BASE) or _succeeds(docker.program, "pull", "--quiet", OFFICIAL_BASE):
        return OFFICIAL_BASE
    if not docker.has(LOCAL_BASE):
        if os.geteuid() or shutil.which("debootstrap") is None:
            raise CannotBuild(
                f"{OFFICIAL_BASE} cannot be pulled. Name another image with BASE=..., or install debootstrap and be "
                "root: a base is then made from Debian's packages."
            )
        print(f"{OFFICIAL_BASE} cannot be pulled: making {LOCAL_BASE} from Debian's packages (a minute)", flush=True)
        make_local_base(docker)
    print(f"on {LOCAL_BASE}, made here from Debian's packages: {OFFICIAL_BASE} cannot be pulled", flush=True)
    return LOCAL_BASE


def check_engine(docker: Docker, base: str) -> None:
    """An engine may answer where the machine lets it start no container. Raises CannotBuild."""
    if docker.has(base) and not _succeeds(docker.program, "run", "--rm", "--entrypoint", "true", base):
        raise CannotBuild("Images need a Docker engine that can start containers: this one cannot.")


def make_local_base(docker: Docker) -> None:
    """Debian 12 with Python 3.11, for tests: like the official image, but for updates of security. Raises NotBuilt."""
    with tempfile.TemporaryDirectory(prefix="turnstream-base-") as folder:
        root = Path(folder, "root")
        command = ["debootstrap", "--variant=minbase", f"--include={DEBIAN_PACKAGES}", "bookworm", str(root)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise NotBuilt(f"debootstrap failed: {done.stdout.strip()[-500:]}")
        for name in NOT_NEEDED:
            shutil.rmtree(root / name, ignore_errors=True)
        archive = Path(folder, "root.tar")
        subprocess.run(["tar", "--create", "--file", str(archive), "--directory", str(root), "."], check=True)
        docker.run("import", "--change", 'CMD ["python3"]', str(archive), LOCAL_BASE, quiet=True)


def python_image(target: str) -> Builder:
    """Of docker/Dockerfile."""

    def build(docker: Docker, base: str, name: str) -> None:
        arguments = {"BASE": base, "VERSION": _version(), "REVISION": _revision()}
        with _pip_secrets() as secrets:
            _build(docker, "docker/Dockerfile", name, arguments, ["--target", target, *secrets])

    return build


def build_kafka(docker: Docker, base: str, name: str) -> None:
    """A broker for tests, where the official image cannot be pulled: the jars come from Maven Central."""
    from turnstream.testing.kafka_broker import BrokerUnavailable, broker_jars

    try:
        jars = broker_jars()
    except BrokerUnavailable as error:
        raise NotBuilt(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="turnstream-kafka-") as folder:
        shutil.copytree(ROOT / "docker" / "kafka", folder, dirs_exist_ok=True)
        shutil.copytree(jars, Path(folder, "jars"))
        _build(docker, f"{folder}/Dockerfile", name, {"BASE": base}, [], context=folder)


def _build(
    docker: Docker, file: str, name: str, arguments: Mapping[str, str], options: Sequence[str], context: str = "."
) -> None:
    values = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    values += ["--no-cache"] if docker.no_cache else []
    values += [f"--build-arg={key}" for key in PROXIES if os.environ.get(key)]
    os.chdir(ROOT)
    docker.run("build", "--progress=plain", f"--file={file}", f"--tag={name}", *values, *options, context, quiet=True)


@contextmanager
def _pip_secrets() -> Iterator[list[str]]:
    """What this machine's pip knows of its registry, as secrets of the build."""
    settings = _pip_settings()
    authorities = settings.pop("cert", "")
    if authorities:
        settings["cert"] = CERTIFICATES
    with tempfile.TemporaryDirectory(prefix="turnstream-pip-") as folder:
        file = Path(folder, "pip.conf")
        file.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        secrets = [f"--secret=id=pip,src={file}"]
        yield [*secrets, f"--secret=id=ca,src={authorities}"] if authorities else secrets


def _pip_settings() -> dict[str, str]:
    kept = {"index-url", "extra-index-url", "trusted-host", "default-timeout", "timeout", "cert"}
    found = {}
    for line in _output(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].strip()
        if key in kept:
            found[key] = value.strip("'\"").replace("\\n", " ")
    return found


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version


def _revision() -> str:
    """The commit, marked where the files differ from it; `unknown` outside a repository."""
    return _output("git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or "unknown"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


BUILDERS: Mapping[str, Builder] = {
    **{name: python_image(name) for name in ("service", "trainer", "actions")},
    "kafka": build_kafka,
}


if __name__ == "__main__":
    sys.exit(main())
