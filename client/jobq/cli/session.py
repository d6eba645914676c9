"""What the commands of one run share: the queue, the settings, and how much to say."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobq.backend import Backend
    from jobq.model.address import Address
    from jobq.settings import Settings
    from jobq.telemetry import Telemetry


@dataclass(slots=True)
class Session:
    queue: str = ""
    """As given first on the command line; empty if it was not."""
    realm: str = ""
    """Of the same place, in place of the queue's own; empty if none is given."""
    is_verbose: bool = False

    def start(self, *, is_verbose: bool) -> None:
        """Before a command runs."""
        import logging

        self.is_verbose = self.is_verbose or is_verbose
        logging.basicConfig(format="%(asctime)s %(levelname)s: %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
        # The SDK prints a traceback for what an adapter turns into an error of ours.
        logging.getLogger("azure.servicebus").setLevel(logging.CRITICAL)
        # The exporters say the same at each export, and may quote a header or a key; an adapter says it once.
        for exporter in ("opentelemetry", "azure.monitor"):
            logging.getLogger(exporter).setLevel(logging.CRITICAL)
        if self.is_verbose:
            logging.getLogger("jobq").setLevel(logging.INFO)

    def settings(self) -> Settings:
        from jobq.settings import read_settings

        return read_settings(queue=self.queue)

    def address(self) -> Address:
        """Raises BadInput, naming the four forms, when no queue is given."""
        from jobq.model.address import parse_address

        address = parse_address(self.settings().address_text())
        return replace(address, realm=self.realm) if self.realm else address

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        from jobq.backend import open_backend

        backend = open_backend(self.address(), self.settings())
        try:
            yield backend
        finally:
            backend.close()

    @contextmanager
    def telemetry(self) -> Iterator[Telemetry]:
        from jobq.settings import read_telemetry_settings
        from jobq.telemetry import open_telemetry

        telemetry = open_telemetry(read_telemetry_settings())
        try:
            yield telemetry
        finally:
            telemetry.close()

    def command(self, words: str, *, program: str = "jobq") -> str:
        """A command for people to copy: with the queue and the realm, if this run was given them."""
        queue = f"{shlex.quote(self.queue)} " if self.queue else ""
        realm = f"-r {self.realm} " if self.realm else ""
        return f"{program} {queue}{realm}{words}"
