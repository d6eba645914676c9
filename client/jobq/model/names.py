"""What names are allowed, and how they are written where keys and URLs forbid their characters."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from zlib import crc32

from jobq.errors import BadInput

DEFAULT_LANE = "0"
SHARDS = 8
MAX_TAGS = 20
MAX_LANES = 10
MAX_CHECKOUT = 100
"""Jobs of one checkout: each comes with its payload, and those of a lost answer wait for the end of their lease."""
MAX_NAME_BYTES = 200
"""Of a tag or a job's id, in UTF-8."""

RESERVED = "metrics"
"""No realm has this name: over HTTP its place is taken."""

_REALM = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LANE_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_LANE_NUMBER = re.compile(r"0|[1-9][0-9]{0,3}")
_BATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CONTENT = re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])-[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r"[A-Za-z0-9._-]*")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_MAX_KEY_PART = 200
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def realm_name(text: str) -> str:
    """The name, if it is one: queue names of Azure allow no more. Raises BadInput."""
    if text == RESERVED:
        raise BadInput(f"{text!r} cannot be a realm's name: /api/status/{text} is something else; take another one")
    if 3 <= len(text) <= 40 and _REALM.fullmatch(text) and "-lane-" not in text:
        return text
    raise BadInput(
        f"{text!r} is not a realm's name: it takes 3 to 40 of a-z, 0-9 and single '-' inside, and no '-lane-'"
    )


def lane_name(text: str | int) -> str:
    """The lane as text: an integer from 0 to 9999 without leading zeros, or a short name. Raises BadInput."""
    lane = str(text)
    if _LANE_NUMBER.fullmatch(lane) or _LANE_NAME.fullmatch(lane):
        return lane
    raise BadInput(
        f"{lane!r} is not a lane: it is a number from 0 to 9999, "
        "or a name of 1 to 12 of a-z and 0-9 that starts with a letter"
    )


def lane_order(lane: str) -> tuple[int, int, str]:
    """Sort key: integers as numbers, lowest first, names after them."""
    return (0, int(lane), "") if lane.isdigit() else (1, 0, lane)


def is_up_to(lane: str, last: str | None) -> bool:
    """Whether a lane comes no later than the last that is wanted; all do where that is None."""
    return last is None or lane_order(lane) <= lane_order(last)


def batch_name(text: str) -> str:
    if _BATCH.fullmatch(text):
        return text
    raise BadInput(
        f"{text!r} is not a batch's name: it takes 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', "
        "the first a letter or digit"
    )


def tag_name(text: str) -> str:
    return _printable("tag", text)


def job_id(text: str | int) -> str:
    return _printable("job's id", str(text))


def content_name(text: str) -> str:
    """What files are stored under: the month of their push and a SHA-256 digest, `202611-…`. Raises BadInput."""
    if _CONTENT.fullmatch(text):
        return text
    raise BadInput(
        f"{text[:80]!r} is not the name of stored files: it is year and month, '-' and the 64 hex digits of a SHA-256"
    )


def _printable(what: str, text: str) -> str:
    if not text or text != text.strip():
        raise BadInput(f"{text!r} is not a {what}: it is empty or begins or ends with a space")
    if _CONTROL.search(text):
        raise BadInput(f"{text!r} is not a {what}: it has a control character")
    if len(text.encode()) > MAX_NAME_BYTES:
        raise BadInput(
            f"{text[:40]!r}… is not a {what}: "
            f"it takes {len(text.encode())} bytes of UTF-8 and {MAX_NAME_BYTES} are the most"
        )
    return text


def queue_name(realm: str, lane: str) -> str:
    """The physical queue of a lane; lane 0 has the realm's own name, so that a queue of ai4s-jobq's is a realm."""
    return realm if lane == DEFAULT_LANE else f"{realm}-lane-{lane}"


def shard_of(job: str) -> int:
    return crc32(job.encode()) % SHARDS


def escape(text: str) -> str:
    """Text in characters that row keys and URL segments allow (`!` and two hex digits a byte); see `unescape`."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(chr(b) if b in _SAFE else f"!{b:02x}" for b in text.encode())


COUNT = "count"
"""Below `jobs` in a URL, this is no job."""


def job_segment(job: str) -> str:
    """The id in a URL: as `escape`, and different from COUNT. `unescape_job` reads it."""
    return _COUNT_ESCAPED if job == COUNT else escape(job)


def unescape_job(text: str) -> str:
    """Raises BadInput for what `job_segment` does not write; COUNT itself is taken as it is."""
    return COUNT if text == _COUNT_ESCAPED else unescape(text)


_COUNT_ESCAPED = "!63ount"


def unescape(text: str) -> str:
    """Raises BadInput for what `escape` does not write."""
    try:
        plain = re.sub(rb"!([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode()).decode()
    except UnicodeError:
        plain = ""
    if escape(plain) != text:
        raise BadInput(
            f"{text!r} is not an escaped name: all but A-Z, a-z, 0-9, '-', '_', '.' is '!' and two hex digits"
        )
    return plain


def key_part(text: str) -> str:
    """As `escape`, but never over 200 characters: a long name ends in a hash, and its row holds the name as a value."""
    escaped = escape(text)
    if len(escaped) <= _MAX_KEY_PART:
        return escaped
    return escaped[:150] + "!!" + hashlib.sha256(text.encode()).hexdigest()[:32]


def path_part(text: str) -> str:
    """As `key_part`, for a folder's or a blob's path, where `.` and `..` mean something else."""
    part = key_part(text)
    return part.replace(".", "!2e") if part in (".", "..") else part


def new_batch() -> str:
    """A fresh batch name of 12 characters; later ones sort later (by the second)."""
    return _base32(int(time.time()), 7) + _base32(secrets.randbits(25), 5)


def new_token() -> str:
    """A fresh name for one claim, ticket, push or writer: 12 characters, 60 random bits."""
    return _base32(secrets.randbits(60), 12)


def _base32(number: int, length: int) -> str:
    return "".join(_CROCKFORD[number >> 5 * i & 31] for i in reversed(range(length)))


ADDED = "add"
"""The batch of jobs that were added one by one, each under an id of its own."""


def id_of_text(text: str) -> str:
    """The id of the job that `jobq add TEXT` makes: the same for the same text."""
    return f"{ADDED}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def id_in_batch(batch: str, position: int) -> str:
    """The id of the job at a position (the line number, from 1) of a push: the same whenever the push is repeated."""
    return f"{batch}-{position:06d}"
