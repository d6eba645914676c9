"""`python -m jobq_service`: the control plane on this machine, with the timer. `jobq serve` runs it."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress

import click

from jobq.errors import JobqError
from jobq_service.serve import listening, serve
from jobq_service.settings import read_service_settings


@click.command(epilog="Example: python -m jobq_service --queue local:./q/demo")
@click.option("--host", default="127.0.0.1", envvar="JOBQ_SERVE_HOST", show_envvar=True, show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7071,
    envvar="JOBQ_SERVE_PORT",
    show_envvar=True,
    show_default=True,
    help="0 takes one that is free.",
)
@click.option(
    "--queue", default="", metavar="ADDRESS", help="Whose realms to serve; all of that place. [env var: JOBQ]"
)
@click.option("-v", "--verbose", is_flag=True, help="A line for each request, without queries and headers.")
def main(host: str, port: int, queue: str, verbose: bool) -> None:
    """Serve the HTTP control plane until Ctrl-C or SIGTERM.

    On loopback it asks no key. On any other address it needs JOBQ_SERVE_KEYS: one key, or
    enqueue=…,status=…,manage=…,checkout=…
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        settings = read_service_settings(queue=queue)
        settings.address()  # what is wrong with the words is said before a port is taken
        with listening(host, port) as bound, suppress(asyncio.CancelledError):
            asyncio.run(serve(settings, host, bound))
    except JobqError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
