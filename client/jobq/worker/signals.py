"""What surrounds a worker on the command line: signals, and a log that never holds it up."""

from __future__ import annotations

import asyncio
import logging
import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from jobq.worker.worker import Worker

logger = logging.getLogger(__name__)


@contextmanager
def logging_by_a_thread() -> Iterator[None]:
    """Standard error that nobody reads must not stop the worker either."""
    root = logging.getLogger()
    handlers, lines = root.handlers[:], queue.SimpleQueue[Any]()
    listener = QueueListener(lines, *handlers)
    root.handlers = [QueueHandler(lines)]
    listener.start()
    try:
        yield
    finally:
        root.handlers = handlers
        listener.stop()


class Watch:
    """SIGTERM and Ctrl-C: jobs get SIGTERM and a grace, then go back to the queue. A second Ctrl-C is immediate."""

    def __init__(self) -> None:
        self.was_interrupted = False
        self._is_told = False
        self._worker: Worker | None = None

    def __call__(self, worker: Worker) -> None:
        self._worker = worker
        if self._is_told:  # before there was a worker
            worker.stop()

    def on_terminate(self) -> None:
        self._is_told = True
        logger.info("stopping: jobs get SIGTERM and go back to the queue")
        if self._worker:
            self._worker.stop()

    def on_interrupt(self) -> None:
        if self.was_interrupted and self._worker:
            self._worker.kill()
        self.was_interrupted = True
        self.on_terminate()

    def on_drain(self) -> None:
        logger.info("finishing what runs, taking nothing new")
        if self._worker:
            self._worker.drain()


@contextmanager
def signals() -> Iterator[Watch]:
    watch = Watch()
    loop = asyncio.get_running_loop()
    handlers = {
        signal.SIGTERM: watch.on_terminate,
        signal.SIGUSR2: watch.on_terminate,
        signal.SIGUSR1: watch.on_drain,
        signal.SIGINT: watch.on_interrupt,
    }
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield watch
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
