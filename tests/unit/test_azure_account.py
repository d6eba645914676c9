"""How a storage account is addressed."""

from __future__ import annotations

import pytest

from jobq.adapters.azure_account import Account, connection_string_of
from jobq.errors import BadInput


def test_name_means_the_public_cloud() -> None:
    account = Account.from_name("acme")

    assert account.queue == "acme.queue.core.windows.net"
    assert account.table == "acme.table.core.windows.net"
    assert account.blob == "acme.blob.core.windows.net"
    assert account.address == "acme"
    assert not account.has_key


@pytest.mark.parametrize("text", ["acme.core.usgovcloudapi.net", "acme.queue.core.usgovcloudapi.net"])
def test_name_with_a_suffix_means_another_cloud(text: str) -> None:
    account = Account.from_name(text)

    assert account.table == "acme.table.core.usgovcloudapi.net"
    assert account.address == text


@pytest.mark.parametrize("text", ["", "https://acme", "a/b", "acme!"])
def test_what_is_no_account_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Account.from_name(text)


@pytest.mark.parametrize("text", ["usedevelopmentstorage=TRUE;", " UseDevelopmentStorage=true\n"])
def test_what_people_write_for_azurite_is_what_all_sdks_read(text: str) -> None:
    assert connection_string_of(text) == "UseDevelopmentStorage=true"


def test_connection_string_may_end_with_a_semicolon() -> None:
    assert connection_string_of("AccountName=acme;AccountKey=a2V5;\n") == "AccountName=acme;AccountKey=a2V5"
