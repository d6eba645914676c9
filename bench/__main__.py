"""`python -m bench [NAME ...] [--quick] [--slow] [--ai4s PROGRAM] [--out FILE]`: measure, print, keep."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.ai4s import peer
from bench.backends import backends
from bench.dashboard import dashboard
from bench.drain import drain
from bench.embedded import embedded
from bench.help import help as help_
from bench.idle import idle
from bench.latency import latency
from bench.machine import this_machine
from bench.options import Options
from bench.processes import Failed
from bench.push import push
from bench.report import Table, markdown, put_into
from bench.status import status
from bench.transactions import transactions
from tests.azurite import AzuriteMissing

FIGURES: dict[str, Callable[[Options], Table]] = {
    "transactions": transactions,
    "push": push,
    "drain": drain,
    "embedded": embedded,
    "backends": backends,
    "latency": latency,
    "idle": idle,
    "status": status,
    "dashboard": dashboard,
    "help": help_,
}
PEERS = ("push", "drain")
"""Figures beside ai4s-jobq."""


def main() -> int:
    given = _arguments()
    options = Options(quick=given.quick, slow=given.slow, ai4s=given.ai4s)
    has_failed = False
    for name in given.names or FIGURES:
        start = time.monotonic()
        print(f"measuring {name} …", file=sys.stderr)
        machine = this_machine(peer(options.ai4s).version if name in PEERS else "")
        try:
            table = FIGURES[name](options)
        except (Failed, AzuriteMissing) as error:
            print(f"no figure for {name}: {error}", file=sys.stderr)
            has_failed = True
            continue
        text = markdown(table, machine, _command(name, options), quick=options.quick)
        print(f"\n{text}", flush=True)
        if given.out:
            put_into(given.out, table.name, text)
        print(f"measured {name} in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return 1 if has_failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="What jobq costs, as tables. See bench/README.md."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"figures, all by default: {', '.join(FIGURES)}")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that all works")
    parser.add_argument("--slow", action="store_true", help="also an idle worker for 13 minutes of real time")
    parser.add_argument("--ai4s", type=Path, metavar="PROGRAM", help="the ai4s-jobq to measure; else one is installed")
    parser.add_argument("--out", type=Path, metavar="FILE", help="put the tables between their markers in this file")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in FIGURES]:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    if given.ai4s and not given.ai4s.is_file():
        parser.error(f"--ai4s: there is no program {given.ai4s}")
    return given


def _command(name: str, options: Options) -> str:
    words = [
        "python",
        "-m",
        "bench",
        name,
        *(["--quick"] if options.quick else []),
        *(["--slow"] if options.slow else []),
    ]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
