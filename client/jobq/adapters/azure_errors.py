"""What an answer of Azure Storage, or none, means: try again, an error of ours, or for the caller to judge."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestTimeoutError

from jobq.adapters.azure_account import Account
from jobq.errors import JobqError, NotAllowed, ReplyLost, TooLarge, Unreachable
from jobq.model.roles import assignment

_BUSY = frozenset({429, 503})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_TOO_LARGE = frozenset(
    {"RequestBodyTooLarge", "MessageTooLarge", "EntityTooLarge", "PropertyValueTooLarge", "ContentLengthLimitExceeded"}
)
_ROLES = {
    "queue": "Storage Queue Data Contributor",
    "table": "Storage Table Data Contributor",
    "blob": "Storage Blob Data Contributor",
}
_XML_CODE = re.compile("<Code>([^<]*)</Code>")
_FIRST_PAUSE_SECONDS = 0.25
_READ_TRIES_WITHOUT_ANSWER = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may take: `tries` within `budget`, each with `connect` and then `answer` between two bytes."""

    tries: int = 6
    budget: timedelta = timedelta(seconds=60)
    connect: timedelta = timedelta(seconds=10)
    answer: timedelta = timedelta(seconds=40)  # the service itself gives up after 30 s


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and what to know about it when it fails."""

    service: str
    """`queue`, `table` or `blob`."""
    what: str
    """What it is to do, for messages: `put a message in queue demo`."""
    is_read: bool = False
    is_repeatable: bool = True
    """Whether doing it twice does no harm. Otherwise only an answer that says "not now" is followed by another try."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is an error. `code` is the service's own name for it, "" if it gave none."""

    status: int
    headers: Mapping[str, str]
    code: str = ""
    text: str = ""
    """Its message."""


class Answered(AzureError):
    """An answer that is an error, before any SDK has made another error of it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.code}")
        self.answer = answer


class Refused(JobqError):
    """An answer that only the caller can judge. If it does not know it either, this is an error nobody expected."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.status = answer.status
        self.code = answer.code
        self.text = answer.text


def pause_before_next(call: Call, outcome: Answer | AzureError, tried: int, spent: float, patience: Patience) -> float:
    """Seconds to wait before another try; below zero: do not try again. `spent` are the seconds since the first try.

    The one rule about retries: throttling and faults inside the service are tried again, for any call that may be
    repeated; a connection that broke only for reads, since a write may have been applied.
    """
    if tried >= patience.tries:
        return -1
    asked = 0.0
    if isinstance(outcome, Answer):
        statuses = _TRANSIENT if call.is_repeatable else _BUSY
        if outcome.status not in statuses:
            return -1
        asked = _retry_after(outcome)
    elif not call.is_read or tried >= _READ_TRIES_WITHOUT_ANSWER:
        return -1
    elif tried == 1:
        return 0  # most likely a kept connection that the service had closed
    backoff = _FIRST_PAUSE_SECONDS * 2 ** (tried - 1) * random.uniform(0.7, 1.3)  # noqa: S311 - spreads clients, no secret
    pause = max(asked, backoff)
    return pause if spent + pause <= patience.budget.total_seconds() else -1


def error_without_answer(call: Call, account: Account, error: AzureError) -> JobqError:
    """A connection that could not be made, or broke: Unreachable; ReplyLost for a write that may have been applied."""
    host = _host(call, account)
    if call.is_read or _is_unsent(error):
        return Unreachable(f"{host} did not answer: could not {call.what} ({_reason(error)})")
    return ReplyLost(f"{host} broke off: it is not known whether it did {call.what} ({_reason(error)})")


def error_of(call: Call, account: Account, answer: Answer) -> JobqError:
    """The error an answer stands for whatever the call, or Refused where it is for the caller to judge."""
    if answer.status in (401, 403):
        return _refusal(call, account, answer)
    if answer.status == 413 or answer.code in _TOO_LARGE:
        return TooLarge(f"could not {call.what}: it is over a limit of Azure Storage ({_said(answer)})")
    if answer.status in _TRANSIENT:
        return _error_of_trouble(call, account, answer)
    return Refused(f"{_host(call, account)} refused to {call.what}: {_said(answer)}", answer)


def outcome_of(error: AzureError) -> Answer | AzureError:
    """The service's answer where an SDK made an exception of one, else the exception: there was no answer to use."""
    if isinstance(error, Answered):
        return error.answer
    if not isinstance(error, HttpResponseError):
        return error
    if error.response is not None:
        return answer_of(error.response) if (error.status_code or 0) >= 400 else error
    # The SDKs raise this one for a key that they cannot sign with.
    return Answer(401, {}) if isinstance(error, ClientAuthenticationError) else error


def answer_of(response: Any) -> Answer:  # Any: azure-core has two kinds of responses, without a type in common
    """What an error says, its body having been read."""
    status: int = response.status_code
    headers: Mapping[str, str] = response.headers
    return Answer(status, headers, *fault_of(response.text(), headers.get("x-ms-error-code", "")))


def fault_of(body: str, code: str = "") -> tuple[str, str]:
    """Code and message of an error: of a table from JSON, of a queue or a blob from a header (`code`) or XML."""
    if body.startswith("{"):
        try:
            fault: Any = json.loads(body)["odata.error"]
            return str(fault["code"]), str(fault["message"]["value"])
        except (ValueError, LookupError, TypeError):
            return code, ""
    found = _XML_CODE.search(body)
    return code or (found[1] if found else ""), ""


def _error_of_trouble(call: Call, account: Account, answer: Answer) -> JobqError:
    host, said = _host(call, account), _said(answer)
    if call.is_read or answer.status == 429:
        return Unreachable(f"{host} is in trouble or too busy: could not {call.what} ({said}); try again later")
    return ReplyLost(f"{host} is in trouble or too busy: it is not known whether it did {call.what} ({said})")


def _refusal(call: Call, account: Account, answer: Answer) -> NotAllowed:
    start = f"storage account {account.name} does not allow to {call.what} ({_said(answer)}): "
    if answer.code in ("AuthorizationFailure", "PublicAccessNotPermitted", "AuthorizationSourceIPMismatch"):
        return NotAllowed(
            start + "its firewall probably lets in only some networks; allow this one, or use its private endpoint"
        )
    if answer.code == "KeyBasedAuthenticationNotPermitted":
        return NotAllowed(start + "it takes no keys; give its name, not a connection string, and run `az login`")
    if account.has_key:
        return NotAllowed(
            start + "the key or signature is wrong, expired or lacks a permission, or this machine's clock is off"
        )
    role = _ROLES[call.service]
    fix = assignment(role, f"$(az storage account show --name {account.name} --query id --output tsv)")
    why = f"the identity in use probably lacks the role {role}. Assign it with `{fix}`; "
    return NotAllowed(f"{start}{why}it takes effect within some minutes", fix=fix)


def _said(answer: Answer) -> str:
    return f"{answer.status} {answer.code}".strip()


def _host(call: Call, account: Account) -> str:
    host: str = getattr(account, call.service)
    return host


def _is_unsent(error: AzureError) -> bool:
    # Not by azure-core's own types: its ServiceRequestError, "not sent", also stands for a reset after sending.
    return isinstance(error, ServiceRequestTimeoutError) or isinstance(
        error.inner_exception, (aiohttp.ClientConnectorError, aiohttp.InvalidURL)
    )


def _reason(error: AzureError) -> str:
    # Only of errors whose text cannot quote the URL, which may carry a signature.
    inner = error.inner_exception
    return str(inner) if isinstance(inner, aiohttp.ClientConnectorError) else type(inner or error).__name__


def _retry_after(answer: Answer) -> float:
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "0")))
    except ValueError:  # a date, which Azure does not send
        return 0.0
