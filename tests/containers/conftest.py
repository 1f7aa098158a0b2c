"""Tests on containers: `make test-containers` builds the images and runs them; they are left out of `make test`."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--containers", action="store_true", help="Test on containers; the images have been built.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.getoption("--containers", default=False) else True
