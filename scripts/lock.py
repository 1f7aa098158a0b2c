"""Resolve requirements/*.lock from pyproject.toml: exact versions with hashes, for every supported Python."""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESOLVER = "uv==0.13.9"
LOCKS = {"service": (), "train": ("train",), "actions": ("actions",), "dev": ("dev",)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([f"{folder}/bin/pip", "install", "--quiet", RESOLVER], check=True)
        for name, extras in LOCKS.items():
            chosen = [f"--extra={extra}" for extra in extras]
            command = [f"{folder}/bin/uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
            command += ["--python-version=3.11", "--no-header", "--no-emit-package=turnstream", "--no-emit-index-url"]
            output = f"requirements/{name}.lock"
            subprocess.run([*command, *chosen, "pyproject.toml", f"--output-file={output}"], cwd=ROOT, check=True)
            print(f"wrote {output}")
        _lock_build_tools(command)


def _lock_build_tools(command: list[str]) -> None:
    """What builds the wheel in the images."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = "\n".join(project["build-system"]["requires"])
    output = "requirements/build.lock"
    subprocess.run([*command, "-", f"--output-file={output}"], cwd=ROOT, input=needed, text=True, check=True)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
