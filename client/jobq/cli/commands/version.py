"""`jobq version`."""

from __future__ import annotations

import click

from jobq.cli.output import answer


@click.command("version")
def command() -> None:
    """Print the version.

    \b
    Example:
      jobq version
    """
    from jobq import __version__

    answer(f"jobq {__version__}")
