"""Where helm cannot be had, one line says so."""

import pytest
from support.helm import HelmUnavailable, helm_program


@pytest.fixture(scope="session", autouse=True)
def helm_is_there() -> None:
    try:
        helm_program()
    except HelmUnavailable as error:
        pytest.fail(f"no helm to test with: {error}", pytrace=False)
