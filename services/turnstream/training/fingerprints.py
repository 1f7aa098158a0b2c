"""Fingerprints: what a part of a bundle was made from, so that an unchanged part is not made again."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

from turnstream.assistant.location import Location

TRAINING_VERSION = 4
"""Raised whenever the same input would give another model, so that older parts are not reused."""


def fingerprint(*inputs: Any) -> str:
    """SHA-256 of plain values and dataclasses, in hexadecimal; where something was written does not count."""
    digest = hashlib.sha256(f"training {TRAINING_VERSION}".encode())
    for value in inputs:
        digest.update(json.dumps(_plain(value), sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Location):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, {f.name: _plain(getattr(value, f.name)) for f in fields(value)}]
    if isinstance(value, dict) or hasattr(value, "items"):
        return [[str(k), _plain(v)] for k, v in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(str(v) for v in value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
