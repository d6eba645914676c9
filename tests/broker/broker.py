"""The broker: a namespace on a loopback port."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Self

from tests.broker.access import Keys
from tests.broker.connection import Connection
from tests.broker.faults import Deed, Fault, Faults
from tests.broker.link import Link
from tests.broker.messages import QueueSpec
from tests.broker.queues import Queues
from tests.broker.service import Service
from tests.broker.store import Clock, Queue

HOST = "127.0.0.1"
_TICK_SECONDS = 0.02
"""How often, in real time, the broker looks at the clock of its queues."""


class Broker:
    """Listens inside `async with`. Queues live as long as the object, whatever becomes of connections.

    Counts, all of them since the start:

    | key | what |
    |---|---|
    | `sent` | messages that were enqueued at once, each message of a batch |
    | `scheduled`, `cancelled` | messages sent for later, and those that then did not arrive |
    | `duplicates` | messages accepted and dropped by duplicate detection |
    | `delivered` | messages given to receivers, locked or not, deferred ones included |
    | `completed`, `abandoned`, `released`, `deferred` | settlements, on links and over `$management` |
    | `dead-lettered` | messages moved to a dead-letter queue, for whatever reason |
    | `renewed` | locks renewed |
    | `peeked` | messages looked at |
    | `lock-expired`, `expired` | locks that ran out (or were ended by a test), messages that outlived their time |
    | `connections` | connections accepted |
    | `put-token`, `management` | requests to `$cbs`, requests to a `$management` |
    | `transfer-in` | deliveries that came in: messages, batches (each once) and requests |
    | `transfer`, `flow`, `disposition`, `attach`, `detach` | frames that came in on sessions |
    """

    def __init__(
        self,
        *specs: QueueSpec,
        template: QueueSpec | None = None,
        clock: Clock = time.time,
        port: int = 0,
        accepts_any_token: bool = True,
    ) -> None:
        """`template`: a link to an unknown queue makes it, after this pattern; without one it is refused.

        `clock`: seconds since the epoch, for locks and all else that queues do. Clients compare what they are told with
        clocks of their own, so a test's clock starts at the real time and only moves forward.
        """
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        """Who broke the protocol, and how. A strict peer hangs up on that, and so does the broker."""
        self._keys = Keys(accepts_any_token=accepts_any_token)
        self._faults = Faults()
        self._queues = Queues(specs, template=template, clock=clock, counts=self.counts, on_active=self._ready)
        self._service = Service(self._queues, self._keys, self._faults, self.counts)
        self._port = port
        self._stack = AsyncExitStack()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._numbers = count(1)
        self._changed: set[Queue] = set()

    async def __aenter__(self) -> Self:
        await self.listen_again()
        self._stack.push_async_callback(self.stop_listening)
        self._stack.callback(self._faults.close)
        await self._stack.enter_async_context(_running(self._watch_clock()))
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """That on which it listens, or did last."""
        return self._port

    @property
    def namespace(self) -> str:
        """What a client with a credential is given, together with `use_tls=False`."""
        return f"{HOST}:{self.port}"

    @property
    def connection_string(self) -> str:
        """With it, the SDK speaks plain TCP to the broker's port."""
        key = f"SharedAccessKeyName={self._keys.name};SharedAccessKey={self._keys.key}"
        return f"Endpoint=sb://{self.namespace};{key};UseDevelopmentEmulator=true"

    def queue(self, path: str) -> Queue:
        """A queue by name, or its dead-letter queue as `name/$DeadLetterQueue`. Raises KeyError."""
        return self._queues[path]

    def fault(self, operation: str, fault: Fault, *, queue: str = "", times: int = 1, after: int = 0) -> None:
        """Break `times` operations, once `after` more have passed unharmed; those of one queue, or of all.

        The operations are `faults.OPERATIONS`.
        """
        self._faults.plan(operation, fault, queue=queue, times=times, after=after)

    @property
    def faults_left(self) -> int:
        """How many operations are still going to fail."""
        return self._faults.left

    async def drop_connections(self) -> None:
        """Reset all of them. Queues, locks and sequence numbers stay."""
        dropped = [*self._connections]
        for connection in dropped:
            connection.cut()
        for connection in dropped:
            await connection.is_lost.wait()

    async def stop_listening(self) -> None:
        """Drop the connections and refuse new ones, as a service that restarts."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await self.drop_connections()
            await server.wait_closed()

    async def listen_again(self) -> None:
        """On the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, next(self._numbers)), HOST, self._port, start_serving=False
        )
        self._port = self._server.sockets[0].getsockname()[1]
        await self._server.start_serving()

    # What connections ask of their host.

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._server is None:  # accepted just before the end
            connection.cut()

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def open_asked(self, connection: Connection, answer: Callable[[], None]) -> None:
        self._faults.carry_out(
            Deed("open", "", connection, do=lambda: None, answer=lambda done: answer(), refuse=connection.refuse)
        )

    def attach_asked(self, link: Link) -> None:
        self._service.attach(link)

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._look_at_clock()

    def _look_at_clock(self) -> None:
        for queue in self._queues:
            queue.advance()

    def _ready(self, queue: Queue) -> None:
        if self._server is None:
            return  # nobody waits; who comes later asks
        if not self._changed:
            self._server.get_loop().call_soon(self._deliver)
        self._changed.add(queue)

    def _deliver(self) -> None:
        changed, self._changed = self._changed, set()
        for queue in changed:
            self._service.deliver(queue)


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """`work` in the background. If it failed, that is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
