"""The queues of a namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.broker.errors import ENTITY_DISABLED, NOT_FOUND, Refused
from tests.broker.messages import QueueSpec
from tests.broker.store import DEAD_LETTER_QUEUE, Clock, Queue

_BELOW = f"/{DEAD_LETTER_QUEUE}".lower()


class Queues:
    """By name, in any case. With a template, a queue that somebody asks for is there."""

    def __init__(
        self,
        specs: tuple[QueueSpec, ...],
        *,
        template: QueueSpec | None,
        clock: Clock,
        counts: Counter[str],
        on_active: Callable[[Queue], None],
    ) -> None:
        self._template = template
        self._clock = clock
        self._counts = counts
        self._on_active = on_active
        self._queues: dict[str, Queue] = {}
        for spec in specs:
            self._create(spec)

    def __iter__(self) -> Iterator[Queue]:
        """Dead-letter queues included."""
        for queue in [*self._queues.values()]:
            yield queue
            yield queue.dead_letters

    def __getitem__(self, path: str) -> Queue:
        """`path` is the name of a queue, or that and `/$DeadLetterQueue`. Raises KeyError."""
        name = path.lower()
        if name.endswith(_BELOW):
            return self[path[: -len(_BELOW)]].dead_letters
        if name not in self._queues and self._template is not None:
            self._create(replace(self._template, name=path))
        return self._queues[name]

    def usable(self, path: str) -> Queue:
        """As a peer sees it. Raises Refused."""
        try:
            queue = self[path]
        except KeyError:
            raise Refused(NOT_FOUND, f"The messaging entity '{path}' could not be found.") from None
        if queue.spec.is_disabled:
            raise Refused(ENTITY_DISABLED, f"The messaging entity '{path}' is currently disabled.")
        return queue

    def _create(self, spec: QueueSpec) -> None:
        self._queues[spec.name.lower()] = Queue(spec, self._clock, counts=self._counts, on_active=self._on_active)
