"""From the options of `worker` and `pull` to the worker, which always pulls directly."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from jobq.cli.defaults import EXCLUSIVE
from jobq.cli.params import DURATION, LEASE, REALMS, TEXT, option, verbose_option
from jobq.cli.session import Session

if TYPE_CHECKING:
    from jobq.worker.options import WorkerOptions

F = TypeVar("F", bound=Callable[..., Any])

_LAYERS = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
_NOTHING = (None, False, ())
"""What an option has as its value that nobody says."""


class WorkerCommand(click.Command):
    """A command with options that exclude each other: one that is given takes the place of a variable's or a file's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        for group in EXCLUSIVE:
            said = {name: ctx.get_parameter_source(name) for name in group if ctx.params.get(name) not in _NOTHING}
            nearest = next((layer for layer in _LAYERS if layer in said.values()), None)
            for name in (name for name, layer in said.items() if layer is not nearest):
                value = ctx.params[name]
                ctx.params[name] = next((nothing for nothing in _NOTHING if type(nothing) is type(value)), None)
        return rest


def worker_options(function: F) -> F:
    """`realms`, `all_realms`, `visibility_timeout`, `grace`, `proc`, `emulate_tty`, `quiet`."""
    function = option("-q", "--quiet", is_flag=True, help="Do not copy the jobs' output here.")(function)
    tty_help = "Let jobs write to a pseudo terminal, as some programs hold their output back otherwise."
    function = option("-t", "--emulate-tty", is_flag=True, help=tty_help)(function)
    function = option("--proc", type=TEXT, default="", help="Call module:function with JSON arguments, not a shell.")(
        function
    )
    function = option("--grace", type=DURATION, default="120s", help="From SIGTERM to SIGKILL of a job.")(function)
    lease_help = (
        "How long a job of a dead worker stays hidden; it is renewed while the job runs. By default as long as the "
        "job's lane is set to, or its realm, or else 10m. On Service Bus the queue's own lock duration takes its place."
    )
    lease = ("--visibility-timeout", "--lease", "visibility_timeout")
    function = option(*lease, type=LEASE, help=lease_help)(function)
    all_help = "Take from all realms that there are beside this one, also from those that come later."
    function = option("--all-realms", is_flag=True, help=all_help)(function)
    realms_help = "Take from these realms, too, beside the one addressed; the lowest lane of all comes first."
    function = option("--realms", type=REALMS, default="", help=realms_help)(function)
    return verbose_option(function)


def run(session: Session, options: WorkerOptions) -> int:
    from jobq.backend import direct_address
    from jobq.worker.run import run_worker_cli

    if not options.quiet:
        logging.getLogger("jobq").setLevel(logging.INFO)
    settings = session.settings()
    return run_worker_cli(direct_address(session.address(), settings), settings, options)
