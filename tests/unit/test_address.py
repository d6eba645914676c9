from __future__ import annotations

import pytest

from jobq.errors import BadInput
from jobq.model.address import Backend, parse_address


@pytest.mark.parametrize(
    ("text", "backend", "place"),
    [
        ("mystorage/exp7", Backend.STORAGE, "mystorage"),
        ("mystorage.queue.core.windows.net/exp7", Backend.STORAGE, "mystorage.queue.core.windows.net"),
        ("sb://mybus/exp7", Backend.SERVICE_BUS, "mybus"),
        ("https://app.azurewebsites.net/api/exp7", Backend.HTTP, "https://app.azurewebsites.net/api"),
        ("http://127.0.0.1:7071/api/exp7", Backend.HTTP, "http://127.0.0.1:7071/api"),
        ("http://[::1]:7071/behind/api/exp7", Backend.HTTP, "http://[::1]:7071/behind/api"),
        ("local:./q/exp7", Backend.LOCAL, "./q"),
        ("local:/var/my q/exp7", Backend.LOCAL, "/var/my q"),
        ("local:/exp7", Backend.LOCAL, "/"),
    ],
)
def test_each_form_names_backend_place_and_realm(text: str, backend: Backend, place: str) -> None:
    address = parse_address(f" {text} ")
    assert (address.backend, address.place, address.realm) == (backend, place, "exp7")
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "exp7",
        "/exp7",
        "mystorage/",
        "my storage/exp7",
        "a/b/exp7",
        "sb:///exp7",
        "sb://a b/exp7",
        "s3://x/exp7",
    ],
)
def test_what_names_no_queue_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://host/exp7",
        "https:///api/exp7",
        "https://user:hush@host/api/exp7",
        "https://host/api/exp7?code=hush/exp7",
        "https://host/api#x/exp7",
    ],
)
def test_a_url_of_another_shape_is_refused_and_its_secrets_are_not_repeated(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_address(text)
    assert "hush" not in str(caught.value)


def test_the_four_forms_are_named() -> None:
    with pytest.raises(BadInput, match=r"mystorage/exp7.*sb://.*https://.*local:"):
        parse_address("exp7")
