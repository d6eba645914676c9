"""`jobq serve`: the HTTP control plane, run by the package `jobq_service`."""

from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec

import click

from jobq.cli.params import TEXT, option, verbose_option
from jobq.cli.session import Session
from jobq.errors import BadInput
from jobq.model.address import Backend


@click.command("serve")
@option("--host", type=TEXT, default="127.0.0.1", help="Address to listen on; other than loopback needs keys.")
@option("--port", type=click.IntRange(0, 65535), default=7071, help="Port to listen on.")
@verbose_option
@click.pass_obj
def command(session: Session, host: str, port: int) -> None:
    """Run the HTTP control plane on this machine, with its timer.

    \b
    Example:
      jobq local:./q/demo serve --port 7071
    """
    address = session.address()
    if address.backend is Backend.HTTP:
        raise BadInput(f"{address} is served already; give the queue that it is in front of")
    if find_spec("jobq_service") is None or find_spec("fastapi") is None:
        raise BadInput("the control plane is not installed: pip install 'jobq[service]'")
    sys.argv = ["jobq_service", "--host", host, "--port", str(port), "--queue", str(address)]
    sys.argv += ["--verbose"] if session.is_verbose else []
    runpy.run_module("jobq_service", run_name="__main__", alter_sys=True)
