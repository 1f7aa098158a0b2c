"""`python -m benchmarks.web`: whether the inspector stays fluid over a long log, in a real Chromium.

100,000 conversations in the list, and one of 10,000 events. A frame is what the browser draws in one go; above 16.7 ms
one of sixty in a second is missed. Needs `apt-get install chromium`.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.replay import synthetic_conversation, write_turns

PROJECT = {
    "config.yml": "recipe: default.v1\nassistant_id: bench\nlanguage: en\npipeline:\n- name: WhitespaceTokenizer\n"
    "- name: KeywordIntentClassifier\npolicies:\n- name: RulePolicy\n",
    "domain.yml": 'version: "3.1"\nintents: [greet]\nresponses:\n  utter_greet:\n  - text: Hello.\n',
    "data/nlu.yml": 'version: "3.1"\nnlu:\n- intent: greet\n  examples: |\n    - hello\n',
    "data/rules.yml": 'version: "3.1"\nrules:\n- rule: greet\n  steps:\n  - intent: greet\n  - action: utter_greet\n',
}
LONG = "the-long-one"
EVENTS_OF_TURN = 7
SCROLLED_FRAMES = 300
LOADS = 5
FRAMES = """async ([selector, frames]) => {
    const box = document.querySelector(selector);
    const times = [];
    let before = await new Promise(requestAnimationFrame);
    for (let frame = 0; frame < frames; frame += 1) {
        box.scrollTop += 400;
        const now = await new Promise(requestAnimationFrame);
        times.push(now - before);
        before = now;
    }
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(times.length - 1, Math.floor(part * times.length))];
    const drawn = document.querySelectorAll(".row").length;
    return {median: at(0.5), p95: at(0.95), worst: at(1), drawn};
}"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


@click.command()
@click.option("--conversations", default=100_000, show_default=True)
@click.option("--events", default=10_000, show_default=True, help="Of one conversation.")
def main(conversations: int, events: int) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise click.ClickException("no Chromium to measure in: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        turns = events // EVENTS_OF_TURN
        names = (f"conversation-{number:08d}" for number in range(conversations - 1))
        short = chain.from_iterable(synthetic_conversation(name, 1) for name in names)
        write_turns(folder / "turns.db", chain(short, synthetic_conversation(LONG, turns)))
        with _served(folder) as url, sync_playwright() as playwright:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            try:
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.set_default_timeout(600_000)
                rows = [*_loading(page, url), *_list(page, url, conversations), *_conversation(page, url, turns)]
            finally:
                browser.close()
    table = Table("what", "figure", title=f"load average {os.getloadavg()[0]:.1f}")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The inspector over the log, by a small project without networks; its address."""
    for name, content in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "turnstream.cli"]
    subprocess.run([*command, "train"], cwd=folder, check=True, capture_output=True)
    arguments = ["run", "--inspect", "--port", "0", "--turn-log", "turns.db"]
    with subprocess.Popen([*command, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(found.group() for line in process.stdout if (found := re.search(r"http://\S+/inspector/", line)))
        finally:
            process.terminate()


def _loading(page: Page, url: str) -> Iterator[tuple[str, str]]:
    sizes: dict[str, int] = {}
    page.on("requestfinished", lambda request: sizes.setdefault(request.url, request.sizes()["responseBodySize"]))
    paints = []
    for _ in range(LOADS):
        page.goto("about:blank")
        page.goto(url)
        page.get_by_label("Your message").wait_for()
        page.wait_for_function(f"({PAINT})() > 0")
        paints.append(page.evaluate(PAINT))
    kilobytes = sum(size for address, size in sizes.items() if "/api/" not in address) / 1000
    yield "page", f"{kilobytes:.0f} kB"
    yield "first content", f"{statistics.median(paints):.0f} ms"


def _list(page: Page, url: str, conversations: int) -> Iterator[tuple[str, str]]:
    begun = time.perf_counter()
    page.goto(f"{url}#/conversations")
    page.locator(".many .row").first.wait_for()
    yield "list: first rows", f"{time.perf_counter() - begun:.2f} s"
    page.get_by_text(f"{conversations:,} conversations", exact=True).wait_for()
    yield "list: the whole log is read", f"{time.perf_counter() - begun:.2f} s"
    yield from _scrolling(page, "list", ".many .windowed")
    begun = time.perf_counter()
    page.get_by_label("Search in ids and texts").fill(LONG)
    page.get_by_text("1 conversation", exact=True).wait_for()
    yield "list: one found among all", f"{time.perf_counter() - begun:.2f} s"


def _conversation(page: Page, url: str, turns: int) -> Iterator[tuple[str, str]]:
    begun = time.perf_counter()
    page.goto(f"{url}#/c/{LONG}")
    page.locator(".timeline .row").first.wait_for()
    yield "conversation: first turns", f"{time.perf_counter() - begun:.2f} s"
    page.get_by_text(f"Live, {turns:,} turns", exact=True).wait_for()
    yield "conversation: all read", f"{time.perf_counter() - begun:.2f} s"
    page.get_by_role("listbox").press("Home")
    yield from _scrolling(page, "conversation", ".timeline .windowed")


def _scrolling(page: Page, what: str, selector: str) -> Iterator[tuple[str, str]]:
    figures = page.evaluate(FRAMES, [selector, SCROLLED_FRAMES])
    for name in ("median", "p95", "worst"):
        yield f"{what}: frame while scrolling, {name}", f"{figures[name]:.1f} ms"
    yield f"{what}: rows drawn", str(figures["drawn"])


if __name__ == "__main__":
    main()
