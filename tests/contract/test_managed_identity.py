"""As which of a machine's identities jobq logs in: an endpoint like Azure ML's is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobq.adapters.azure_credential import own_credential
from jobq.settings import read_settings
from tests.identity_endpoint import Asked, identity_endpoint


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """The queries that come to the endpoint."""
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with identity_endpoint("t") as (variables, queries):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield queries


@pytest.mark.parametrize(
    ("variables", "identity"),
    [
        ({}, None),
        ({"DEFAULT_IDENTITY_CLIENT_ID": "id-1"}, ["id-1"]),
        ({"DEFAULT_IDENTITY_CLIENT_ID": "id-1", "AZURE_CLIENT_ID": "id-2"}, ["id-2"]),
    ],
)
async def test_the_identity_that_the_environment_names_is_used(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], identity: list[str] | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async with own_credential(read_settings(queue="lab/exp7").managed_identity) as credential:
        token = await credential.get_token("https://storage.azure.com/.default")

    assert token.token == "t"
    assert [query.get("clientid") for query in asked] == [identity]
