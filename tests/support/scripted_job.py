"""A job of the workshop that does what its body says: `result <JSON>`, `wait <pipe>`, or nothing at all."""

import json
import sys
import threading
from pathlib import Path

# As `gateway.workshop` has them; importing that would take most of a job's time.
BODY, ORDER, RESULT = "body", "order.json", "result.json"


def main(folder: Path) -> None:
    verb, _, rest = (folder / BODY).read_text(encoding="utf-8").partition(" ")
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    if verb == "wait":
        Path(rest).write_text("begun", encoding="utf-8")
        threading.Event().wait()
    elif verb == "pack":
        (folder / "made.tar.gz").write_bytes(rest.encode())
        (folder / RESULT).write_text(json.dumps({"value": {"archive": "made.tar.gz"}}), encoding="utf-8")
    elif verb == "result":
        (folder / RESULT).write_text(rest, encoding="utf-8")
    elif verb == "order":
        (folder / RESULT).write_text(json.dumps({"value": order}), encoding="utf-8")
    else:
        sys.exit(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
