"""What the Azure adapters decide about answers and broken connections."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from azure.core.exceptions import (
    AzureError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)

from jobq.adapters.azure_account import Account
from jobq.adapters.azure_errors import (
    Answer,
    Call,
    Patience,
    Refused,
    error_of,
    error_without_answer,
    fault_of,
    pause_before_next,
)
from jobq.errors import JobqError, NotAllowed, ReplyLost, TooLarge, Unreachable

ACCOUNT = Account.from_name("acme")
PATIENCE = Patience(tries=6, budget=timedelta(seconds=60))
READ = Call("queue", "get messages of queue demo", is_read=True)
WRITE = Call("table", "commit 1 changes to partition p of table jobq")
ONCE = Call("queue", "renew the lease of message 1 in queue demo", is_repeatable=False)


def said(status: int, code: str = "", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, code)


def refused() -> aiohttp.ClientConnectorError:
    key = ConnectionKey("acme.queue.core.windows.net", 443, True, True, None, None, None)
    return aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "Connection refused"))


def broken(inner: Exception, kind: type[AzureError] = ServiceRequestError) -> AzureError:
    return kind(inner, error=inner)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_throttling_and_faults_inside_the_service_are_tried_again(status: int) -> None:
    assert pause_before_next(WRITE, said(status), 1, 0, PATIENCE) > 0
    assert pause_before_next(READ, said(status), 1, 0, PATIENCE) > 0


@pytest.mark.parametrize("status", [200, 202, 400, 401, 403, 404, 409, 412, 413, 416])
def test_anything_else_is_an_answer(status: int) -> None:
    assert pause_before_next(READ, said(status), 1, 0, PATIENCE) < 0


def test_call_that_must_not_be_repeated_is_tried_again_only_when_it_was_not_begun() -> None:
    assert pause_before_next(ONCE, said(503), 1, 0, PATIENCE) > 0
    assert pause_before_next(ONCE, said(429), 1, 0, PATIENCE) > 0
    assert pause_before_next(ONCE, said(500, "OperationTimedOut"), 1, 0, PATIENCE) < 0


def test_pauses_grow_and_are_spread() -> None:
    first = {pause_before_next(READ, said(503), 1, 0, PATIENCE) for _ in range(20)}
    fifth = {pause_before_next(READ, said(503), 5, 0, PATIENCE) for _ in range(20)}

    assert len(first) > 1
    assert max(first) < 0.4
    assert min(fifth) > 2


def test_retry_after_is_respected() -> None:
    assert pause_before_next(READ, said(503, Retry_After="7"), 1, 0, PATIENCE) == 7


def test_retry_after_that_is_a_date_is_passed_over() -> None:
    assert 0 < pause_before_next(READ, said(503, Retry_After="Fri, 31 Dec 2026 23:59:59 GMT"), 1, 0, PATIENCE) < 1


def test_patience_ends_by_tries_and_by_time() -> None:
    assert pause_before_next(READ, said(503), 6, 0, PATIENCE) < 0
    assert pause_before_next(READ, said(503), 2, 59.9, PATIENCE) < 0
    assert pause_before_next(READ, said(503, Retry_After="61"), 1, 0, PATIENCE) < 0


def test_broken_connection_is_tried_again_for_reads_only() -> None:
    error = broken(aiohttp.ServerDisconnectedError())

    assert pause_before_next(READ, error, 1, 0, PATIENCE) == 0
    assert pause_before_next(READ, error, 2, 0, PATIENCE) > 0
    assert pause_before_next(READ, error, 3, 0, PATIENCE) < 0
    assert pause_before_next(WRITE, error, 1, 0, PATIENCE) < 0


@pytest.mark.parametrize(
    "error", [broken(refused()), ServiceRequestTimeoutError("connect")], ids=["refused", "connect timed out"]
)
def test_write_that_was_never_sent_is_surely_not_applied(error: AzureError) -> None:
    found = error_without_answer(WRITE, ACCOUNT, error)

    assert type(found) is Unreachable
    assert "acme.table.core.windows.net" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        broken(aiohttp.ServerDisconnectedError()),  # azure-core calls it a ServiceRequestError, "not sent"
        broken(aiohttp.ClientOSError(104, "Connection reset by peer")),
        broken(aiohttp.ClientPayloadError(), ServiceResponseError),
        ServiceResponseTimeoutError("read"),
    ],
    ids=["disconnected", "reset", "cut short", "read timed out"],
)
def test_write_that_may_have_arrived_is_a_lost_reply(error: AzureError) -> None:
    assert type(error_without_answer(WRITE, ACCOUNT, error)) is ReplyLost
    assert type(error_without_answer(READ, ACCOUNT, error)) is Unreachable


@pytest.mark.parametrize(
    ("call", "answer", "kind"),
    [
        (READ, said(503, "ServerBusy"), Unreachable),
        (WRITE, said(503, "ServerBusy"), ReplyLost),
        (WRITE, said(500, "OperationTimedOut"), ReplyLost),
        (WRITE, said(429), Unreachable),
        (WRITE, said(413), TooLarge),
        (WRITE, said(400, "PropertyValueTooLarge"), TooLarge),
        (ONCE, said(400, "MessageTooLarge"), TooLarge),
        (READ, said(401, "InvalidAuthenticationInfo"), NotAllowed),
        (READ, said(403, "AuthenticationFailed"), NotAllowed),
    ],
)
def test_answer_stands_for_an_error(call: Call, answer: Answer, kind: type[JobqError]) -> None:
    assert type(error_of(call, ACCOUNT, answer)) is kind


@pytest.mark.parametrize("answer", [said(404, "QueueNotFound"), said(409), said(412), said(416)])
def test_answer_about_the_state_of_things_is_for_the_caller(answer: Answer) -> None:
    error = error_of(READ, ACCOUNT, answer)

    assert type(error) is Refused
    assert (error.status, error.code) == (answer.status, answer.code)
    assert "refused to get messages of queue demo" in str(error)


def test_missing_role_is_named_with_the_command_that_assigns_it() -> None:
    message = str(error_of(READ, ACCOUNT, said(403, "AuthorizationPermissionMismatch")))

    assert "storage account acme does not allow to get messages of queue demo" in message
    assert 'az role assignment create --assignee <user or client id> --role "Storage Queue Data Contributor"' in message
    assert "--name acme" in message
    assert "Storage Table Data Contributor" in str(error_of(WRITE, ACCOUNT, said(403)))


def test_firewall_and_forbidden_keys_are_told_apart_from_missing_roles() -> None:
    assert "firewall" in str(error_of(READ, ACCOUNT, said(403, "AuthorizationFailure")))
    assert "az login" in str(error_of(READ, ACCOUNT, said(403, "KeyBasedAuthenticationNotPermitted")))


def test_caller_with_a_key_is_not_sent_to_its_roles() -> None:
    account = replace(ACCOUNT, has_key=True)

    assert "the key or signature is wrong" in str(error_of(READ, account, said(403)))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"odata.error":{"code":"ServerBusy","message":{"lang":"en","value":"2:busy"}}}', ("ServerBusy", "2:busy")),
        ("<?xml version='1.0'?><Error><Code>QueueNotFound</Code></Error>", ("QueueNotFound", "")),
        ("<html>Bad Gateway</html>", ("", "")),
        ('{"message": "a gateway\'s own JSON"}', ("", "")),
        ("", ("", "")),
    ],
)
def test_fault_is_read_from_what_each_service_says(body: str, fault: tuple[str, str]) -> None:
    assert fault_of(body) == fault
    assert fault_of(body, "FromHeader")[0] == (fault[0] if body.startswith('{"odata') else "FromHeader")
