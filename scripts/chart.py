"""Generate what the Helm chart says twice: the table of values in its README, and the settings in its schema.

scripts/chart.py            write them
scripts/chart.py --check    say whether they are fresh
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from turnstream.runtime.settings import SettingRow, settings_table

CHART = Path(__file__).resolve().parents[1] / "helm" / "turnstream"
TABLE = ("<!-- values -->\n", "<!-- end of values -->\n")
SET_BY_CHART = (
    r"(address|metrics|telemetry|tls|turn_log)\..*",
    r"grpc\.(host|port|health_port|drain_.*)",
    r"gateway\.(host|port|grpc_port|enable_api|cors|auth_token|jwt_.*|tls_.*)",
    r"kafka\.(bootstrap_servers|prefix|partitions|replication|security_protocol|sasl_.*|ssl_.*)",
    r"bundles\.(folder|plan|grace_s)",
    r"conversation\.advertise",
    r"model_server\.(models|host|port|pipe|poll_s)",
)
"""Settings that have values of their own, or that the chart derives."""
KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


@dataclass(frozen=True, slots=True)
class Value:
    """A documented value: its dotted path, its default as YAML, and the comment above it."""

    path: str
    default: str
    meaning: str


def documented_values(text: str) -> Iterator[Value]:
    """The values of a `values.yaml` that a comment beginning with `# --` describes, in order."""
    content = yaml.safe_load(text)
    parents: list[tuple[int, str]] = []
    meaning = ""
    for line in text.splitlines():
        if comment := re.match(r" *# -- (.*)", line):
            meaning = comment[1]
        elif key := re.match(r"( *)([\w-]+):", line):
            indent = len(key[1])
            parents = [parent for parent in parents if parent[0] < indent] + [(indent, key[2])]
            if meaning:
                path = [name for _, name in parents]
                yield Value(".".join(path), _as_yaml(content, path), meaning)
            meaning = ""


def _as_yaml(content: Any, path: list[str]) -> str:
    for name in path:
        content = content[name]
    return json.dumps(content, ensure_ascii=False)


def values_table(text: str) -> str:
    """The values as a table in Markdown."""
    rows = [f"| `{v.path}` | `{v.default}` | {v.meaning} |\n" for v in documented_values(text)]
    return "".join(["| value | default | meaning |\n| --- | --- | --- |\n", *rows])


def is_set_by_chart(name: str) -> bool:
    """Whether a setting (`grpc.port`) is none for `settings` in the values."""
    return any(re.fullmatch(pattern, name) for pattern in SET_BY_CHART)


def settings_schema() -> dict[str, Any]:
    """What `settings` may hold, as a JSON schema."""
    sections: dict[str, dict[str, Any]] = {}
    for row in settings_table():
        if not is_set_by_chart(row.name):
            section, _, key = row.name.partition(".")
            sections.setdefault(section, {})[key] = _setting_schema(row)
    return _closed({name: _closed(entries) for name, entries in sections.items()})


def _setting_schema(row: SettingRow) -> dict[str, Any]:
    return {"type": KINDS[row.type], "description": f"{row.meaning}{f', in {row.unit}' if row.unit else ''}."}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def fresh_files() -> dict[Path, str]:
    """The files as they should be."""
    readme, schema = CHART / "README.md", CHART / "values.schema.json"
    before, _, rest = readme.read_text(encoding="utf-8").partition(TABLE[0])
    after = rest.partition(TABLE[1])[2]
    table = values_table((CHART / "values.yaml").read_text(encoding="utf-8"))
    content = json.loads(schema.read_text(encoding="utf-8"))
    content["definitions"]["settings"] = settings_schema()
    return {
        readme: f"{before}{TABLE[0]}{table}{TABLE[1]}{after}",
        schema: f"{json.dumps(content, indent=2, ensure_ascii=False)}\n",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is stale")
    check = parser.parse_args().check
    stale = [path for path, text in fresh_files().items() if path.read_text(encoding="utf-8") != text]
    for path, text in fresh_files().items():
        if path in stale and not check:
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(CHART.parents[1])}: {'stale; run scripts/chart.py' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
