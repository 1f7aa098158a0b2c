"""Write the golden renders anew: `python tests/helm/update.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.helm import HELM_TESTS, render, value_sets

for name, values in value_sets().items():
    (HELM_TESTS / "golden" / f"{name}.yaml").write_text(render(values), encoding="utf-8")
sys.stdout.write(f"{len(value_sets())} golden renders are written.\n")
