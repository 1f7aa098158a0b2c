"""What ships is what the sources say."""

import runpy
from pathlib import Path

import pytest
from turnstream.gateway.rest.pages import STATIC

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "build_web.py"))
MOST_BYTES = 200_000


def test_the_built_pages_fit_their_sources() -> None:
    assert SCRIPT["problem"]() == ""


def test_a_changed_source_has_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("one", encoding="utf-8")
    before = SCRIPT["digest"]([tmp_path / "a.ts"], tmp_path)
    (tmp_path / "a.ts").write_text("two", encoding="utf-8")
    assert SCRIPT["digest"]([tmp_path / "a.ts"], tmp_path) != before


def test_all_that_ships_is_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < MOST_BYTES


@pytest.mark.parametrize("name", ["index.html", "chat.html"])
def test_a_page_needs_nothing_that_its_policy_forbids(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert "<style" not in text
    assert "style=" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert text.count("<script") == text.count(" src=")


def test_no_file_names_a_registry() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
