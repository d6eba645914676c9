"""`jobq [QUEUE] COMMAND …`: which commands there are, and how every one of them ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

import click

from jobq.cli.params import REALM, set_realm
from jobq.cli.session import Session

SECTIONS: dict[str, dict[str, str]] = {
    "Put work in, and run it": {
        "push": "Put jobs in the queue: commands, or one a line on standard input.",
        "add": "Put one job in the queue, or tags and lanes on it if it is there.",
        "pull": "Run one job of the queue here, or print jobs for a shell to run.",
        "worker": "Run the queue's jobs here, several at a time.",
        "ack": "Say that a job that was pulled is done.",
        "nack": "Give a job that was pulled back, or say that it failed.",
        "extend": "Hold a job that was pulled for longer.",
    },
    "See how far it is": {
        "status": "Count the jobs of the queue, a tag or a batch, by state.",
        "jobs": "List jobs.",
        "get": "Print the commands of the jobs with a tag that remain.",
        "show": "Show all that is known of a job.",
        "logs": "Print the output of a job.",
        "workers": "List the live workers and what they run.",
        "wait": "Wait until jobs have ended.",
        "list": "List the realms beside this one.",
    },
    "Change it": {
        "cancel": "Cancel jobs, queued or running.",
        "retry": "Queue failed or cancelled jobs again.",
        "preempt": "Stop running jobs and put them back, as if their machine went.",
        "drain": "Have workers finish what they run, and end.",
        "pause": "Have workers take nothing new.",
        "resume": "Have workers take jobs again.",
        "move": "Move queued jobs from one lane to another.",
        "remove": "Delete jobs and what is kept of them.",
        "clear": "Delete what is queued in a lane.",
        "realm": "Show or set how long leases are, or delete a realm.",
        "sweep": "Repair what a crash left behind.",
    },
    "Around it": {
        "doctor": "Try out all that the queue needs, and say what is missing.",
        "serve": "Run the HTTP control plane on this machine.",
        "config": "Show what is set, and where; or make a file from a deployment.",
        "completion": "Print the completion script of a shell.",
        "version": "Print the version.",
    },
}
"""What `jobq --help` lists. Each command is the object of its name in the module `jobq.cli.commands.<name>`."""

_SHORT_HELP = {name: text for section in SECTIONS.values() for name, text in section.items()}

_HELP = """Run many commands on many machines, lose none.

QUEUE is where the jobs are; without it, $JOBQ says so: mystorage/exp7 (a Storage account), sb://mybus/exp7 (Service
Bus), https://myapp.azurewebsites.net/api/exp7 (the HTTP control plane), local:./q/exp7 (a folder of this machine).

\b
Example:
  export JOBQ=local:./q/demo
  jobq push -c 'echo hello' --tag try
  jobq worker
  jobq status tag try
"""


class Commands(click.Group):
    """Commands by name, each loaded when it is called: `jobq --help` has nothing to wait for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SHORT_HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SHORT_HELP:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"jobq.cli.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _SHORT_HELP and not ctx.resilient_parsing:
            close = get_close_matches(args[0], _SHORT_HELP, n=1)
            hint = f"{close[0]!r} is close" if close else "and a queue would have a '/'"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if name and command and not ctx.resilient_parsing:
            ctx.default_map = {name: self._defaults(ctx, name, command, rest)}
        return name, command, rest

    def _defaults(self, ctx: click.Context, name: str, command: click.Command, args: list[str]) -> Any:
        """What files say of the command's options. A mistake there holds up neither its help nor `config`."""
        from jobq.cli.defaults import defaults_of, problems_of
        from jobq.errors import BadInput
        from jobq.settings import read_files

        is_set_by_files = any(isinstance(parameter, click.Option) for parameter in command.params)
        if not is_set_by_files and not isinstance(command, click.Group):
            return {}
        options = args[: args.index("--")] if "--" in args else args
        try:
            files = read_files()
            for problem in (problem for file in files for problem in problems_of(file, [*_SHORT_HELP])):
                raise BadInput(problem)
            return defaults_of(ctx, (name,), command, args, files)
        except BadInput:
            if name == "config" or not {"-h", "--help"}.isdisjoint(options):
                return {}
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take out the queue: the first word, if it has a slash."""
        session = ctx.ensure_object(Session)
        first = self._first_word(args)
        if first is not None and "/" in args[first]:
            session.queue = args[first]
            args = args[:first] + args[first + 1 :]
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def _first_word(self, args: list[str]) -> int | None:
        """Where it is; the value of an option is none."""
        with_value = {name for option in self.params if _takes_value(option) for name in option.opts}
        is_value = [False, *(word in with_value for word in args)]
        return next((i for i, word in enumerate(args) if not word.startswith("-") and not is_value[i]), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, text in commands.items()])

    def main(  # type: ignore[override]  # it always ends the process
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run, and end the process with one of the codes of `jobq.errors`."""
        session = Session()
        extra |= {"obj": session, "standalone_mode": False}
        try:
            code = super().main(args, prog_name or "jobq", **extra)
        except BaseException as error:
            from jobq.cli.ending import exit_code_of

            code = exit_code_of(error, session)
        sys.exit(code if isinstance(code, int) else 0)


@click.command(
    cls=Commands,
    help=_HELP,
    context_settings={
        "auto_envvar_prefix": "JOBQ",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
    subcommand_metavar="COMMAND [ARGS]...",
    options_metavar="[QUEUE]",
    no_args_is_help=False,
)
@click.option("-v", "--verbose", is_flag=True, show_envvar=True, help="Say more; show where an error came from.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _param, value: _version(ctx, value),
    help="Print the version.",
)
@click.option(
    "-r",
    "--realm",
    type=REALM,
    expose_value=False,
    callback=set_realm,
    show_envvar=True,
    help="Another realm of the same place.",
)
@click.pass_obj
def cli(session: Session, verbose: bool) -> None:
    session.start(is_verbose=verbose)


def main() -> NoReturn:
    cli.main()


def _takes_value(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.is_flag


def _version(ctx: click.Context, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from jobq import __version__

        click.echo(f"jobq {__version__}")
        ctx.exit()
