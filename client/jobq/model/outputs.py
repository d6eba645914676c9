"""Where a job's outputs are to go, as asked for at its push: a path on the worker's machine, or blobs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from jobq.errors import BadInput
from jobq.model.job import Job
from jobq.model.names import path_part

MAX_TARGET_CHARS = 1000
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_HOST = re.compile(r"([a-z0-9]{3,24})\.blob\.([a-z0-9.-]+)")


@dataclass(frozen=True, slots=True)
class BlobPlace:
    account: str
    """As in a queue's address; "" for the realm's own."""
    container: str
    prefix: str
    """Without slashes at its ends."""


def output_target(text: object) -> str:
    """The text, checked. Raises BadInput."""
    if not isinstance(text, str) or not text.strip() or "\0" in text or len(text) > MAX_TARGET_CHARS:
        raise BadInput(
            f"outputs go to a path or to az://container/prefix, in at most {MAX_TARGET_CHARS} characters, not {text!r}"
        )
    blob_place(text)
    return text


def blob_place(text: str) -> BlobPlace | None:
    """What `az://container/prefix` or a blob URL names; None for a path. Raises BadInput for a wrong one."""
    account, path = "", ""
    if text.startswith("az://"):
        path = text.removeprefix("az://")
    elif re.match(r"https?://", text):
        parts = urlsplit(text)
        host = _HOST.fullmatch(parts.hostname or "")
        if parts.scheme != "https" or host is None or parts.query or parts.fragment or "@" in parts.netloc:
            raise BadInput(
                "outputs go to a path, to az://container/prefix in the realm's storage account, or to "
                "https://account.blob.core.windows.net/container/prefix, without a query: a login is used, no signature"
            )
        account = host[1] if host[2] == "core.windows.net" else f"{host[1]}.{host[2]}"
        path = unquote(parts.path).lstrip("/")
    else:
        return None
    container, _, prefix = path.partition("/")
    if not _CONTAINER.fullmatch(container):
        raise BadInput(
            f"{container!r} in {text!r} names no container: 3 to 63 lower-case letters, digits and single hyphens do"
        )
    prefix = prefix.strip("/")
    if prefix and not {"", ".", ".."}.isdisjoint(prefix.split("/")):
        raise BadInput(f"{prefix!r} in {text!r} is no prefix of blobs: it has an empty part, '.' or '..'")
    return BlobPlace(account, container, prefix)


def target_of(job: Job) -> str:
    """With the job's own names in it: `{job_id}` and `{batch}`, as parts of a path."""
    target = job.spec.outputs
    for name, value in (("{job_id}", job.id), ("{batch}", job.batch)):
        target = target.replace(name, path_part(value))
    return target
