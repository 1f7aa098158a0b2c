"""One target under Atheris, in a process of its own: `python -m fuzz.coverage TARGET FOLDER SECONDS SEED`.

Inputs that reach new code are kept in FOLDER/corpus. The first that brings the target down goes to FOLDER, and ends it.
"""

import logging
import signal
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["turnstream"]):
    from fuzz.targets import TARGETS

MAX_INPUT_BYTES = 4096
MAX_INPUT_S = 10
MAX_MEMORY_MB = 1024


def main() -> None:
    name, folder, seconds, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    target = TARGETS[name]
    logging.disable(logging.CRITICAL)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(first)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = (
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={MAX_INPUT_S}",
        f"-rss_limit_mb={MAX_MEMORY_MB}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-verbosity=1",
    )
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
