"""Tables of docs/ are those of the code, both ways."""

import re
import runpy

from prometheus_client.metrics import MetricWrapperBase
from support.shared import REPOSITORY

SCRIPT = runpy.run_path(str(REPOSITORY / "scripts" / "generate_docs.py"))
PACKAGE = REPOSITORY / "services" / "turnstream"


def documented(page: str) -> set[str]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([A-Za-z_]+)` \|", text.partition(SCRIPT["BEGIN"])[2], re.MULTILINE))


def test_every_metric_is_in_the_documented_table_and_nothing_else_is() -> None:
    assert documented("metrics.md") == set(SCRIPT["metrics"]())


def test_every_setting_is_in_the_documented_table_and_nothing_else_is() -> None:
    assert documented("settings.md") == {row.variable for row in SCRIPT["settings_table"]()}


def test_the_tables_say_what_the_code_says() -> None:
    stale = [page.name for page in SCRIPT["TABLES"] if page.read_text(encoding="utf-8") != SCRIPT["fresh"](page)]
    assert not stale, "run scripts/generate_docs.py"


def test_metrics_are_defined_where_the_table_is_made_from() -> None:
    """Others could not be found without importing everything, TensorFlow included."""
    maker = re.compile(r"^\w+ = (Counter|Gauge|Histogram|Summary|Info|Enum)\(", re.MULTILINE)
    files = [path for path in PACKAGE.rglob("*.py") if maker.search(path.read_text(encoding="utf-8"))]
    assert files
    assert all(path.name.endswith("metrics.py") for path in files)


def test_metrics_have_names_of_prometheus_habit() -> None:
    metrics: dict[str, MetricWrapperBase] = SCRIPT["metrics"]()
    assert all(re.fullmatch(r"turnstream_[a-z]+(_[a-z]+)+", name) for name in metrics)
    assert all(name.endswith("_total") == (metric._type == "counter") for name, metric in metrics.items())
    assert not {"conversation_id", "sender", "text"} & {label for m in metrics.values() for label in m._labelnames}
