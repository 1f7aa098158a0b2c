"""The chart's README, schema and dashboard say what is there."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from support.helm import CHART, ROOT

ROW = re.compile(r"turnstream_[a-z0-9_]+")


@pytest.fixture(scope="module")
def chart_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_script", ROOT / "scripts" / "chart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["chart_script"] = module
    spec.loader.exec_module(module)
    return module


def test_readme_and_schema_are_fresh(chart_script: ModuleType) -> None:
    stale = [str(path) for path, text in chart_script.fresh_files().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: make chart"


def _leaves(content: Any, path: str = "") -> list[str]:
    if isinstance(content, dict) and content:
        return [leaf for key, value in content.items() for leaf in _leaves(value, f"{path}.{key}" if path else key)]
    return [path]


def test_every_value_is_described(chart_script: ModuleType) -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    described = [value.path for value in chart_script.documented_values(text)]
    leaves = _leaves(yaml.safe_load(text))
    assert [leaf for leaf in leaves if not any(leaf == d or leaf.startswith(f"{d}.") for d in described)] == []
    assert len(described) == len(set(described)) > 100


def _schema_at(schema: Any, path: str, root: Any) -> Any:
    for key in path.split("."):
        while "$ref" in schema:
            schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
        schema = schema["properties"][key]
    return schema


def test_every_described_value_is_in_the_schema(chart_script: ModuleType) -> None:
    schema = json.loads((CHART / "values.schema.json").read_bytes())
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert all(_schema_at(schema, v.path, schema) is not None for v in chart_script.documented_values(text))


def _documented_metrics() -> set[str]:
    return set(ROW.findall((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))


def _known(name: str, documented: set[str]) -> bool:
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return name in documented or base in documented


def test_the_dashboard_asks_for_documented_metrics() -> None:
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_bytes())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries.append(dashboard["templating"]["list"][1]["query"])
    names = {name for query in queries for name in ROW.findall(query)}
    assert len(queries) > 12
    assert sorted(name for name in names if not _known(name, _documented_metrics())) == []


def test_autoscalers_ask_for_documented_metrics() -> None:
    golden = (Path(__file__).parent / "golden" / "production.yaml").read_text(encoding="utf-8")
    scalers = [o for o in yaml.safe_load_all(golden) if o and o["kind"] == "HorizontalPodAutoscaler"]
    names = {
        metric[kind]["metric"]["name"]
        for scaler in scalers
        for metric in scaler["spec"]["metrics"]
        for kind in ("pods", "external")
        if kind in metric
    }
    assert names == {"turnstream_conversation_turns_in_flight", "turnstream_turnlog_backlog_messages"}
    assert names <= _documented_metrics()
