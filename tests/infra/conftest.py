"""The folder `infra/` as rules see it, and Azure's own types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.bicep.azure_types import AzureTypes, TypesMissing
from tests.infra.rules.book import Infra

FOLDER = Path(__file__).resolve().parents[2] / "infra"


@pytest.fixture(scope="session")
def infra() -> Infra:
    return Infra.read(FOLDER)


@pytest.fixture(scope="session")
def azure_types() -> Iterator[AzureTypes]:
    """Azure's types. Missing: a skip at home, an error in CI."""
    try:
        types = AzureTypes.installed()
    except TypesMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    yield types
    types.close()
