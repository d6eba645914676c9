"""What is at which address, and who may attach to it."""

from __future__ import annotations

from collections import Counter

from tests.broker.access import Keys
from tests.broker.address import Address, parse
from tests.broker.errors import NOT_ALLOWED, NOT_FOUND, UNAUTHORIZED, Refused, Violation
from tests.broker.faults import Deed, Faults
from tests.broker.link import Intake, Link, Outlet
from tests.broker.management import ManagementDesk
from tests.broker.queue_links import Lineup, Receiver, Sender
from tests.broker.queues import Queues
from tests.broker.requests import Desk, Replies, Requests
from tests.broker.store import Queue
from tests.broker.tokens import TokenDesk

_SESSION_FILTER = "com.microsoft:session-filter"


class Service:
    """Puts links and queues together."""

    def __init__(self, queues: Queues, keys: Keys, faults: Faults, counts: Counter[str]) -> None:
        self._queues = queues
        self._keys = keys
        self._faults = faults
        self._counts = counts
        self._lineups: dict[Queue, Lineup] = {}

    def attach(self, link: Link) -> None:
        """Accept a link, refuse it, or (a fault) leave it waiting. Raises Violation."""
        terminus = link.wanted.source if link.wanted.role else link.wanted.target
        if terminus is None or not terminus.address:
            link.refuse(Refused(NOT_FOUND, "a link must name an address").error)
            return
        address = parse(terminus.address)
        if address.is_cbs:
            self._attach_desk(link, TokenDesk(self._keys, link.connection.claims, self._counts))
        elif address.is_management:
            self._attach_management(link, address)
        else:
            self._attach_queue(link, address.path)

    def deliver(self, queue: Queue) -> None:
        """Give waiting receivers what has become ready."""
        if queue in self._lineups:
            self._lineups[queue].deliver()

    def _attach_management(self, link: Link, address: Address) -> None:
        try:
            queue = self._queues.usable(address.path)
        except Refused as refused:
            link.refuse(refused.error)
        else:
            self._attach_desk(link, ManagementDesk(queue, link.connection.claims, self._counts))

    def _attach_desk(self, link: Link, desk: Desk) -> None:
        if isinstance(link, Intake):
            link.accept(Requests(link, desk, self._faults))
        elif isinstance(link, Outlet):
            link.accept(Replies(link, desk.place))

    def _attach_queue(self, link: Link, path: str) -> None:
        if not link.connection.claims.cover(path):
            raise Violation(UNAUTHORIZED, f"{link}: an attach to {path} before a token for it was accepted")
        self._faults.carry_out(
            Deed(
                "attach",
                path,
                link.connection,
                do=lambda: self._admit(link, path),
                answer=lambda queue: self._accept(link, queue),
                refuse=link.refuse,
                link=link,
            )
        )

    def _admit(self, link: Link, path: str) -> Queue:
        queue = self._queues.usable(path)
        if link.wanted.source is not None and _SESSION_FILTER in link.wanted.source.filters:
            raise Refused(NOT_ALLOWED, f"A session receiver cannot be created on '{path}', which has no sessions.")
        return queue

    def _accept(self, link: Link, queue: Queue) -> None:
        if isinstance(link, Intake):
            link.accept(Sender(link, queue, self._faults), max_message_bytes=queue.spec.max_message_bytes)
        elif isinstance(link, Outlet):
            lineup = self._lineups.setdefault(queue, Lineup(queue))
            link.accept(Receiver(link, lineup, self._faults))
