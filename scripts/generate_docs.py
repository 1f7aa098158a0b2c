"""Write the tables of docs/metrics.md and docs/settings.md from the code; with `--check`, say if they are fresh."""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from turnstream.runtime.settings import SettingRow, settings_table

ROOT = Path(__file__).resolve().parent.parent
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


def fresh(page: Path) -> str:
    """The page with its table as the code has it."""
    before, found, _ = page.read_text(encoding="utf-8").partition(BEGIN)
    assert found, f"{page} has no line {BEGIN!r}"
    return f"{before}{BEGIN}\n{chr(10).join(TABLES[page]())}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a table is stale")
    check: bool = parser.parse_args().check
    stale = [page for page in TABLES if page.read_text(encoding="utf-8") != fresh(page)]
    if check:
        sys.exit(f"stale, run scripts/generate_docs.py: {', '.join(map(str, stale))}" if stale else 0)
    for page in stale:
        page.write_text(fresh(page), encoding="utf-8")


if __name__ == "__main__":
    main()
