"""From the options of `worker` and `pull` to the worker, which always pulls directly."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobq.cli.params import DURATION, LEASE, REALMS, TEXT, option, verbose_option
from jobq.cli.session import Session
from jobq.settings import worker_defaults

if TYPE_CHECKING:
    from jobq.worker.options import WorkerOptions

F = TypeVar("F", bound=Callable[..., Any])


class WorkerCommand(click.Command):
    """A command whose defaults an ancestor's variables may change."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return super().make_context(info_name, args, parent, default_map=worker_defaults(), **extra)


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
    all_help = "Work for all realms that there are beside this one, also for those that come later."
    function = option("--all-realms", is_flag=True, help=all_help)(function)
    realms_help = "Work for these realms beside the one addressed; the lowest lane of all comes first."
    function = option("--realms", type=REALMS, default="", help=realms_help)(function)
    return verbose_option(function)


def run(session: Session, options: WorkerOptions) -> int:
    from jobq.backend import direct_address
    from jobq.worker.run import run_worker_cli

    if not options.quiet:
        logging.getLogger("jobq").setLevel(logging.INFO)
    settings = session.settings()
    return run_worker_cli(direct_address(session.address(), settings), settings, options)
