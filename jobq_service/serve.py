"""The control plane under uvicorn: a socket, the app behind its guard, and the timer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobq.errors import JobqError, Unreachable
from jobq.model.names import new_token
from jobq_service import dashboard
from jobq_service.app import create_app
from jobq_service.guard import Guarded, guard_for, is_loopback
from jobq_service.rate_limit import RateLimit
from jobq_service.realms import Realms
from jobq_service.settings import ServiceSettings, from_anywhere
from jobq_service.tick import sweep_realms

logger = logging.getLogger(__name__)

TICK_SECONDS = 60
OPENING_SECONDS = 30
GRACE_SECONDS = 5
MAX_HEAD_BYTES = 64 * 1024
"""Of a request's first line and headers. Up to 256 KiB are taken where they arrive at once: so much one read gives."""


def listening(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one. Raises JobqError where it cannot be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
    except OSError as error:
        raise JobqError(
            f"cannot listen on {host}: {error.strerror}; give an address of this machine, --host"
        ) from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(2048)
    except OSError as error:
        bound.close()
        is_used = error.errno == errno.EADDRINUSE
        advice = (
            "is a control plane running there already? Give another" if is_used else "give another address, --host, or"
        )
        raise JobqError(
            f"cannot listen on {host} port {port}: {error.strerror}; {advice} port, --port, or 0 for any that is free"
        ) from error
    return bound


async def serve(settings: ServiceSettings, host: str, bound: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT. Raises JobqError when the backend cannot be opened, CancelledError when it ends
    before that."""
    task = asyncio.current_task()
    assert task is not None
    _on_signals(task.cancel)  # until the server has its own
    address, port = bound.getsockname()[:2]
    guard = guard_for(host, address, port, settings.serve_keys)
    realms = Realms(settings.stack)
    try:
        await _probe(realms)
        web = create_app(realms, max_body_bytes=settings.max_body_bytes, rate_limit=RateLimit(settings.rate_limit))
        app = AccessLog(Guarded(web, guard))
        _announce(settings, host, port, is_open=not is_loopback(address))
        await _run(app, bound, realms)
    finally:
        await realms.close()


class AccessLog:
    """A line for each answer, without query or headers: they may hold keys."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            path = quote(scope.get("path", ""), safe="/!")
            logger.info("answered %s %s: %d in %.3f s", scope.get("method"), path, status, time.monotonic() - began)


class _Server(uvicorn.Server):
    """Uvicorn raises the signal again when it is done; a control plane that was asked to end has ended well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        _on_signals(self._end)
        yield

    def _end(self) -> None:
        self.force_exit = self.should_exit  # the second time it is meant
        self.should_exit = True


def _on_signals(act: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, act)


async def _probe(realms: Realms) -> None:
    try:
        async with asyncio.timeout(OPENING_SECONDS):
            await realms.names()
    except TimeoutError as error:
        raise Unreachable(
            f"the backend did not answer within {OPENING_SECONDS} s; is it up, and its name right?"
        ) from error


async def _run(app: ASGIApp, bound: socket.socket, realms: Realms) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",  # the other one that uvicorn would take if it is installed has no limit for headers
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(_tick_forever(realms))
        await _Server(config).serve(sockets=[bound])
        ticking.cancel()


async def _tick_forever(realms: Realms) -> None:
    holder = new_token()
    while True:
        try:
            await sweep_realms(realms, holder)
        except JobqError as error:
            logger.warning("swept nothing: %s", error)
        except Exception:  # one tick is a request like any other
            logger.exception("swept nothing")
        await asyncio.sleep(TICK_SECONDS)


def _announce(settings: ServiceSettings, host: str, port: int, *, is_open: bool) -> None:
    address = from_anywhere(settings.address())
    shown = f"[{host}]" if ":" in host else host
    url, realm = f"http://{shown}:{port}", address.realm
    print(f"serving {address} at {url}/api/{realm} (all realms there; Ctrl-C ends it)", file=sys.stderr, flush=True)
    print(f"the dashboard is at {url}{dashboard.ROOT}/#/{realm}", file=sys.stderr, flush=True)
    if is_open:
        print("this is plain HTTP: keys can be read on the way, so put TLS in front", file=sys.stderr, flush=True)
