"""Write what docs/ has from the code: docs/reference/, and the tables of docs/metrics.md and docs/settings.md.

With `--check`, change nothing and say if they are fresh.
"""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from turnstream.runtime.settings import SettingRow, settings_table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from reference import commands, config_keys, domain_keys, protos, rest  # noqa: E402

PACKAGE = ROOT / "services" / "turnstream"
BEGIN = "<!-- The table is written by scripts/generate_docs.py. -->\n"


def metrics() -> dict[str, MetricWrapperBase]:
    """Every metric that a file `metrics.py` of ours defines, by the name that Prometheus sees."""
    found = {}
    for path in sorted(PACKAGE.rglob("*metrics.py")):
        module = import_module(".".join(("turnstream", *path.relative_to(PACKAGE).with_suffix("").parts)))
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase):
                found[metric._name + ("_total" if metric._type == "counter" else "")] = metric
    return dict(sorted(found.items()))


def metrics_table() -> Iterator[str]:
    yield "| name | type | labels | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, metric in metrics().items():
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield f"| `{name}` | {metric._type} | {labels} | {metric._documentation.rstrip('.')} |"


def settings() -> Iterator[str]:
    yield "| variable | in a file | default | meaning |"
    yield "| --- | --- | --- | --- |"
    yield from map(_setting, settings_table())


def _setting(row: SettingRow) -> str:
    default = str(row.default).lower() if isinstance(row.default, bool) else str(row.default)
    unit = f" ({row.unit})" if row.unit else ""
    return f"| `{row.variable}` | `{row.name}` | {f'`{default}`' if default else ''} | {row.meaning}{unit} |"


TABLES = {ROOT / "docs" / "metrics.md": metrics_table, ROOT / "docs" / "settings.md": settings}
PAGES = {
    ROOT / "docs" / "reference" / "commands.md": ("Commands", commands.page),
    ROOT / "docs" / "reference" / "config.md": ("config.yml: components and policies", config_keys.page),
    ROOT / "docs" / "reference" / "domain.md": ("Domain, stories and rules", domain_keys.page),
    ROOT / "docs" / "reference" / "protos.md": ("gRPC services and messages", protos.page),
    ROOT / "docs" / "reference" / "rest.md": ("REST routes", rest.page),
}
"""Pages that are generated in full, each with its title."""


def fresh(page: Path) -> str:
    """The page as the code has it."""
    if page in PAGES:
        title, content = PAGES[page]
        note = "<!-- This page is written by scripts/generate_docs.py. -->"
        return "\n".join((f"# {title}", "", note, "", *content())).rstrip() + "\n"
    before, found, _ = page.read_text(encoding="utf-8").partition(BEGIN)
    assert found, f"{page} has no line {BEGIN!r}"
    return f"{before}{BEGIN}\n{chr(10).join(TABLES[page]())}\n"


def stale_pages() -> dict[Path, str]:
    """The pages that are not as the code has them, each as it should be."""
    wanted = {page: fresh(page) for page in (*TABLES, *PAGES)}
    return {page: text for page, text in wanted.items() if not page.is_file() or page.read_text("utf-8") != text}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a page is stale")
    check: bool = parser.parse_args().check
    stale = stale_pages()
    if check:
        sys.exit(f"stale, run scripts/generate_docs.py: {', '.join(map(str, stale))}" if stale else 0)
    for page, text in stale.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
