"""What `test_openapi.py` adds to schemathesis, which imports this: how to write NDJSON."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """The document describes one line, so two of them are a body."""
    return b"\n".join([json.dumps(value).encode()] * 2)
