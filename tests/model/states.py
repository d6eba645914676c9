"""What a state of the model is made of: rows, messages, workers; and the case that it is a state of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from jobq.model.job import JobState

Promise = tuple[tuple[int, int], ...]
"""A ticket to be sent: its jobs, each with its generation."""


@dataclass(frozen=True)
class Rules:
    """Rules that are not in the decision functions, to be switched off by a test."""

    outbox: bool = True
    """A transaction that raises a generation promises the tickets."""
    claim_ids: bool = True
    """Each claim has an id of its own."""
    fresh_generations: bool = True
    """A job pushed again after its removal begins with a generation that was never used."""
    next_named: bool = True
    """The claim of a checkout names the ticket that will bring the job back."""
    next_promised: bool = True
    """An extension promises the ticket that it names."""
    promises_keep_ids: bool = True
    """Such a promise has the ticket's id."""
    next_first: bool = True
    """The message is completed when its job's next ticket is sent, not before."""
    completed_only: bool = True
    """A caller is answered only when the message was completed."""


@dataclass(frozen=True)
class Case:
    """What is there, who acts, and how often each fault may strike."""

    jobs: int = 1
    workers: int = 2
    retries: int = 1
    crash_limit: int = 1
    is_chunk: bool = False
    is_pushed: bool = True
    duplicates: int = 0
    killer: int = -1
    """A job that kills its worker whenever it runs."""
    may_fail: bool = True
    gives_back: bool = False
    """Whether a worker may return jobs of a chunk that it has not started."""
    is_sweeper_slow: bool = False
    """Whether an outbox row may be deleted by another while the sweeper sends its tickets."""
    operations: tuple[str, ...] = ()
    """On job 0: cancel, remove, retry, push."""
    callers: bool = False
    """Whether whoever receives a ticket is the service, which checks the job out for a caller."""
    has_workers: bool = True
    """Whether it may be a worker."""
    extends: int = 0
    """How often leases of callers may be extended."""
    crashes: int = 0
    losses: int = 0
    """Of leases."""
    lost_replies: int = 0
    dead_letters: int = 0
    """Of messages that the broker gives up: delivered too often, or expired."""
    edits: bool = True
    """Whether a message can be put back with new content, as in a Storage queue; else another is sent in its place."""
    rules: Rules = field(default_factory=Rules)


class Row(NamedTuple):
    state: JobState
    generation: int
    etag: int
    claim: int = 0
    message: int = 0
    delivery: int = 0
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    cancel: bool = False
    remove: bool = False
    next: int = 0
    """The ticket that may take it over, besides the message."""
    is_out: bool = False
    """Checked out."""


class Message(NamedTuple):
    id: int
    entries: tuple[tuple[int, int, int], ...]
    """Job, generation, and the row's etag (0: a reference)."""
    is_held: bool = False
    number: int = 0
    is_dead: bool = False
    """The broker has given it up: only the sweeper reads it."""
    ticket: int = 0
    """Its ticket's id, where a row may name it."""


class Slot(NamedTuple):
    """A worker: the call it makes next, and what it knows."""

    at: str = "idle"
    message: int = 0
    number: int = 0
    entries: tuple[tuple[int, int, int], ...] = ()
    plan: tuple[tuple[int, str, int], ...] = ()
    """Job, verdict and etag, as read."""
    todo: tuple[tuple[int, int], ...] = ()
    """Claimed jobs that are not recorded, the running one first, and the etags of their rows."""
    how: str = ""
    owes: tuple[Promise, ...] = ()
    """Tickets it has promised and not sent."""
    forgets: tuple[Promise, ...] = ()
    """Outbox rows it will delete."""
    ticket: int = 0
    """The id of the ticket it has received."""
    is_out: bool = False
    """The service, and then its caller."""
    following: int = 0
    """The ticket that ends the caller's lease, when it comes."""

    @property
    def is_chunk(self) -> bool:
        return len(self.entries) > 1

    @property
    def execution(self) -> int:
        """What it does under this delivery."""
        return 100 * self.message + self.number


class State(NamedTuple):
    rows: tuple[Row | None, ...]
    outbox: frozenset[Promise]
    messages: tuple[Message, ...]
    slots: tuple[Slot, ...]
    pusher: tuple[str, tuple[int, ...]]
    """Its next call, and the etags it knows."""
    promised: tuple[Promise, ...]
    """The outbox rows that it will delete."""
    operator: tuple[int, str, int]
    """Which operation, its next call, and what it knows: an etag or a generation."""
    sweeper: tuple[str, Promise]
    crashes: int
    losses: int
    lost_replies: int
    dead_letters: int
    extends: int
    following: frozenset[tuple[int, int]]
    """Promises of next tickets: generation and id."""
    accepted: frozenset[tuple[int, int]]
    """Job and execution of the ends that were recorded, while somebody may record them again."""
    cancelled: bool
    lost: tuple[int, ...]
    starts: tuple[int, ...]


class Step(NamedTuple):
    label: str
    state: State
    is_fault: bool = False
    wrong: str = ""


IDLE = Slot()
