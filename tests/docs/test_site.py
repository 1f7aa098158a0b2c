"""`make docs` builds the site: no link is broken, and no page asks another server for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.commands import environment
from support.shared import REPOSITORY

REQUEST = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(?:https?:)?//|<link[^>]*\shref=["']?(?:https?:)?//""")
STYLE_REQUEST = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""")


VALIDATION = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["validation"]


def build(folder: Path, config: Path = REPOSITORY / "mkdocs.yml") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(folder)]
    variables = environment(NO_MKDOCS_2_WARNING="1")
    return subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    written = {page.relative_to(REPOSITORY / "docs") for page in (REPOSITORY / "docs").rglob("*.md")}
    built = {page.relative_to(site).with_suffix(".md") for page in site.rglob("*.html")}
    assert written <= built
    assert {Path("architecture.md"), Path("chart.md")} <= built


def test_no_page_asks_another_server(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if REQUEST.search(page.read_text(encoding="utf-8"))]
    styles = [style for style in site.rglob("*.css") if STYLE_REQUEST.search(style.read_text(encoding="utf-8"))]
    assert not pages + styles


def test_a_request_would_be_found() -> None:
    assert REQUEST.search('<script async src="https://example.com/a.js"></script>')
    assert REQUEST.search('<link rel="stylesheet" href="//fonts.example.com/css">')
    assert not REQUEST.search('<script src="assets/a.js"></script> <a href="https://example.com">')
    assert STYLE_REQUEST.search("@import url(https://example.com/a.css)")


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](gone.md) [away](#nowhere)\n", encoding="utf-8")
    checks = yaml.dump({"validation": VALIDATION})
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"site_name: none\nstrict: true\n{checks}", encoding="utf-8")
    done = build(tmp_path / "site", config)
    assert done.returncode != 0
    assert "gone.md" in done.stderr
    assert "#nowhere" in done.stderr
