"""A control plane over a folder, and which kinds of places tests go to."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli.terminal import start_process

KINDS = ["local", "azurite", "servicebus", "http"]


@contextmanager
def serving(realm: str) -> Iterator[str]:
    """`jobq serve` over a folder: its URL up to `/api`."""
    process = start_process(f"local:./q/{realm}", "serve", "--port", "0")
    assert process.stderr is not None
    first = process.stderr.readline()
    found = re.search(rf"(http://\S+/api)/{realm}", first)
    assert found, first + process.stderr.read()
    yield found[1]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
