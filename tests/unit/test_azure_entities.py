"""Rows, transactions and messages as they travel: what Azurite accepts too easily, or never says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.data.tables import EdmType, EntityProperty, TableEntity

from jobq.adapters.azure_entities import batch_of, entity_of, etags_of, failed_part, request_of, row_of
from jobq.adapters.azure_tables import _filter, _following, _index
from jobq.adapters.storage_queue import _body, _messages, _text
from jobq.core.ports import Value, create, delete, merge, replace

APPLIED = (
    b"--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
    b"--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\nDataServiceVersion: 3.0;\r\nETag: W/\"datetime'1'\"\r\n\r\n\r\n"
    b"--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\n\r\n\r\n"
    b"--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b'HTTP/1.1 201 Created\r\nEtag: W/"3"\r\n\r\n{"x":"HTTP/1.1 500 in a value"}\r\n'
    b"--changesetresponse_1--\r\n--batchresponse_1--\r\n"
)
FAILED = (
    b"--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
    b"--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n"
    b'{"odata.error":{"code":"ServerBusy"}}\r\n--changesetresponse_1--\r\n--batchresponse_1--\r\n'
)


def test_each_change_of_a_transaction_has_its_etag_or_none() -> None:
    assert etags_of(APPLIED) == ["W/\"datetime'1'\"", "", 'W/"3"']
    assert failed_part(APPLIED) is None


def test_failure_inside_an_accepted_transaction_is_found() -> None:
    assert failed_part(FAILED) == (503, b'{"odata.error":{"code":"ServerBusy"}}')


def test_index_of_the_failed_change_is_read_from_the_message() -> None:
    assert _index("17:The specified entity already exists.") == 17
    assert _index("The specified entity: already exists") == 0


def test_changes_become_the_methods_of_the_table_service() -> None:
    requests = [
        request_of("jobq", "p", change)
        for change in (create("k", {}), merge("k", {}, "e"), replace("k", {}), delete("k"))
    ]

    assert [method for method, *_ in requests] == ["POST", "PATCH", "PUT", "DELETE"]
    assert [headers.get("If-Match") for _, _, headers, _ in requests] == [None, "e", "*", "*"]


def test_key_is_quoted_for_odata_and_for_the_url() -> None:
    body = batch_of("https://acme.table.core.windows.net", "jobq", "p~1", [delete("it's 100%/x", "e")])

    assert b"/jobq(PartitionKey='p~1',RowKey='it%27%27s%20100%25%2Fx') HTTP/1.1" in body


def test_values_of_a_transaction_carry_their_types() -> None:
    values: dict[str, Value] = {"i": 2**40, "one": 1.0, "inf": float("-inf"), "t": True, "b": b"\x00\xff", "s": ""}

    sent = json.loads(request_of("jobq", "p", create("k", values))[3])

    assert sent == {
        "PartitionKey": "p",
        "RowKey": "k",
        "i": str(2**40),
        "i@odata.type": "Edm.Int64",
        "one": 1.0,
        "one@odata.type": "Edm.Double",
        "inf": "-Infinity",
        "inf@odata.type": "Edm.Double",
        "t": True,
        "b": "AP8=",
        "b@odata.type": "Edm.Binary",
        "s": "",
    }


def test_integers_of_a_change_by_itself_are_of_64_bits() -> None:
    entity = entity_of("p", create("k", {"i": 7, "t": True, "x": 7.0}))

    assert entity == {
        "PartitionKey": "p",
        "RowKey": "k",
        "i": EntityProperty(7, EdmType.INT64),
        "t": True,
        "x": 7.0,
    }


def test_whole_float_that_comes_back_without_a_type_is_a_float() -> None:
    row = row_of(_answered({"RowKey": "k", "x": 1, "none": None}))

    assert row.values == {"x": 1.0}
    assert type(row.values["x"]) is float


def test_integer_over_64_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        request_of("jobq", "p", create("k", {"x": 2**63}))
    with pytest.raises(ValueError, match="64 bits"):
        entity_of("p", create("k", {"x": 2**63}))


def _answered(entity: dict[str, Any]) -> TableEntity:
    """As the SDK hands it over."""
    found = TableEntity(entity)
    found._metadata = {"etag": "e", "timestamp": None}
    return found


@pytest.mark.parametrize(
    ("prefix", "after"), [("job", "joc"), ("tag~", "tag\u00a0"), ("x\ud7ff", "x\ue000"), ("a'", "a(")]
)
def test_prefix_ends_before_the_next_character_that_keys_may_have(prefix: str, after: str) -> None:
    assert _following(prefix) == after


def test_filter_names_the_partition_and_the_range() -> None:
    assert _filter("p'1", "job~", "job~7") == (
        "PartitionKey eq 'p''1' and RowKey ge 'job~' and RowKey lt 'job\u00a0' and RowKey gt 'job~7'"
    )


@pytest.mark.parametrize("body", [b"\x00\x01", b"\xff\xfe", "\ufffe".encode(), b"base64:AAAA", b"a\rb", b"&" * 45_000])
def test_body_that_xml_cannot_carry_travels_as_base64(body: bytes) -> None:
    text = _text(body)

    assert text.startswith("base64:")
    assert len(text) <= 64 * 1024
    assert _body(text) == body


@pytest.mark.parametrize("text", ["base64:", "base64:not base64!", "eyJhIjoxfQ==", "", "é"])
def test_foreign_message_is_its_own_text(text: str) -> None:
    assert _body(text) == (b"" if text == "base64:" else text.encode())


def test_foreign_message_with_forbidden_characters_does_not_block_the_queue() -> None:
    message = (
        "<QueueMessage><MessageId>%s</MessageId><DequeueCount>2</DequeueCount><PopReceipt>r</PopReceipt>"
        "<MessageText>%s</MessageText></QueueMessage>"
    )
    first_two = message % ("1", "a&#x1;\x02b") + message % ("2", "ok")
    answer = f"<?xml version='1.0' encoding='utf-8'?><QueueMessagesList>{first_two}</QueueMessagesList>"

    first, second = _messages(answer)

    assert first["body"] == "a\ufffd\ufffdb".encode()
    assert (second["message_id"], second["number"], second["body"]) == ("2", 2, b"ok")
