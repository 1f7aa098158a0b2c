"""Tests on Kubernetes: `make test-cluster`; they are left out of `make test`."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="Test on Kubernetes; the images have been built.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.getoption("--cluster", default=False) else True
