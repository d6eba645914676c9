"""`jobq completion`: click's own scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from jobq.cli.output import answer


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      jobq completion bash >> ~/.bashrc
    """
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"no completion for {shell}")
    answer(script(ctx.find_root().command, {}, "jobq", "_JOBQ_COMPLETE").source())
