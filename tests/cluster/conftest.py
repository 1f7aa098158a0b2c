"""Tests on Kubernetes: `make test-cluster`; they are left out of `make test`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import a_cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="Test on Kubernetes; the images have been built.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.getoption("--cluster", default=False) else True


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of the cluster that all tests share, each file of them in namespaces of its own."""
    with a_cluster(tmp_path_factory.mktemp("kubernetes")) as found:
        yield found


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the nodes see."""
    given = os.environ.get("TURNSTREAM_TEST_BUNDLES")
    return Path(given) if given else tmp_path_factory.mktemp("bundles")
