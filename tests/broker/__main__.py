"""`python -m tests.broker`: the broker as a process of its own, on 127.0.0.1 only.

When it listens it says so, and prints the connection string on the second line. At its end it prints one line of JSON,
with what it counted and who broke the protocol; then its exit code is 1 if somebody did.

    python -m tests.broker --port 5672 --queue jobs:lock=30s,max-delivery=10,dedup=1m --any lock=5s
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from tests.broker.broker import HOST, Broker
from tests.broker.messages import QueueSpec

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def main() -> int:
    return asyncio.run(_serve(_arguments()))


async def _serve(given: argparse.Namespace) -> int:
    ended = _end_on_signals()
    if given.until_eof:
        # A daemon thread, because nothing else can wait for any kind of standard input and yet be left behind.
        loop = asyncio.get_running_loop()
        threading.Thread(target=_read_to_the_end, args=(loop, ended), daemon=True).start()
    async with Broker(*given.queue, template=given.any, port=given.port) as broker:
        print(f"listening on {HOST}:{broker.port}")
        print(broker.connection_string, flush=True)
        await ended.wait()
    print(json.dumps({"counts": broker.counts, "violations": broker.violations}), flush=True)
    return 1 if broker.violations else 0


def _end_on_signals() -> asyncio.Event:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


def _read_to_the_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not through sys.stdin, whose lock must be free when Python ends
        pass
    with suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(ended.set)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.broker", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument(
        "--queue", type=_named_spec, action="append", default=[], metavar="NAME[:OPTIONS]", help=f"OPTIONS: {_OPTIONS}"
    )
    parser.add_argument("--any", type=_spec, metavar="OPTIONS", help="make any queue that somebody asks for")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does, as with the parent")
    return parser.parse_args()


def _named_spec(text: str) -> QueueSpec:
    name, _, options = text.partition(":")
    return replace(_spec(options), name=name)


def _spec(options: str) -> QueueSpec:
    spec = QueueSpec("any")
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        match name:
            case "lock":
                spec = replace(spec, lock=_duration(value))
            case "max-delivery":
                spec = replace(spec, max_delivery_count=int(value))
            case "dedup":
                spec = replace(spec, duplicate_window=_duration(value))
            case "ttl":
                spec = replace(spec, time_to_live=_duration(value))
            case _:
                raise argparse.ArgumentTypeError(f"{option!r} is none of {_OPTIONS}")
    return spec


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9.]+)(ms|[smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write for example 500ms, 30s, 5m or 1d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


_OPTIONS = "lock=30s,max-delivery=10,dedup=1m,ttl=1d"

if __name__ == "__main__":
    sys.exit(main())
