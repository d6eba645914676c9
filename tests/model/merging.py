"""States that can only go on alike are made one: without this there are ten times as many.

Etags, generations and message ids are compared for equality and nothing else, so all that counts is what is equal to
what: an etag or a generation that is not its row's any more will never be again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.model.states import Message, Promise, Row, Slot, State

CURRENT, STALE = 1, -1

Numbers = tuple[int, ...]
"""The etag, or the generation, of each job's row; 0 where there is none."""

KEPT: Numbers = ()
"""In place of generations: leave them as they are."""


def merged(state: State, *, is_over: bool, are_generations_fresh: bool) -> State:
    """The state all that are equal to this one but for names and history are turned into.

    `is_over`: no operation is left that may queue an ended job again.
    """
    etags = tuple(row.etag if row else 0 for row in state.rows)
    generations = tuple(row.generation if row else 0 for row in state.rows) if are_generations_fresh else KEPT
    which, call, knows = state.operator
    if call == "commit":
        knows = _etag(0, knows, etags)
    elif call != "read":
        knows = _generation(0, knows, generations)
    following = state.rows[0].next if state.rows[0] else 0
    state = state._replace(
        rows=tuple(row and _row(row, are_generations_fresh, is_over) for row in state.rows),
        outbox=frozenset(_promises(tuple(state.outbox), generations)),
        messages=tuple(_message(message, etags, generations, following) for message in state.messages),
        slots=tuple(_slot(slot, etags, generations, following) for slot in state.slots),
        following=frozenset(
            (_generation(0, generation, generations), _ticket(ticket, following))
            for generation, ticket in state.following
        ),
        promised=_promises(state.promised, generations),
        pusher=(state.pusher[0], tuple(_etag(job, etag, etags) for job, etag in enumerate(state.pusher[1]))),
        operator=(which, call, knows),
        sweeper=(state.sweeper[0], *_promises((state.sweeper[1],), generations)),
    )
    return _renumbered(state)


def _etag(job: int, etag: int, etags: Numbers) -> int:
    return CURRENT if etag and etag == etags[job] else STALE if etag else 0


def without_the_void(state: State) -> State:
    """Without tickets, sent or promised, of which whoever receives one can but drop it."""
    named = {row.message for row in state.rows if row} | {slot.message for slot in state.slots}
    messages = (one for one in state.messages if one.id in named or one.ticket or any(g for _, g, _ in one.entries))
    return state._replace(
        messages=tuple(messages),
        outbox=frozenset(promise for promise in state.outbox if any(generation for _, generation in promise)),
        following=frozenset(promise for promise in state.following if any(promise)),
    )


def _ticket(ticket: int, following: int) -> int:
    """Of what brings a job back: only the one that its row names matters."""
    return CURRENT if ticket and ticket == following else 0


def _generation(job: int, generation: int, generations: Numbers) -> int:
    if generations is KEPT:
        return generation
    return CURRENT if generation and generation == generations[job] else 0


@lru_cache(100_000)
def _row(row: Row, are_generations_fresh: bool, is_over: bool) -> Row:
    row = row._replace(etag=CURRENT, generation=CURRENT if are_generations_fresh else row.generation)
    row = row._replace(next=CURRENT if row.next else 0)
    if not row.state.is_final:
        return row
    row = row._replace(message=0, delivery=0, failures=0, losses=0, cancel=False, remove=False, next=0, is_out=False)
    return row._replace(attempt=0) if is_over else row


@lru_cache(100_000)
def _message(message: Message, etags: Numbers, generations: Numbers, following: int) -> Message:
    entries = _entries(message.entries, etags, generations)
    return message._replace(entries=entries, ticket=_ticket(message.ticket, following))


@lru_cache(100_000)
def _slot(slot: Slot, etags: Numbers, generations: Numbers, following: int) -> Slot:
    return slot._replace(
        ticket=_ticket(slot.ticket, following),
        following=_ticket(slot.following, following),
        entries=_entries(slot.entries, etags, generations),
        plan=tuple((job, verdict, _etag(job, etag, etags)) for job, verdict, etag in slot.plan),
        todo=tuple((job, _etag(job, etag, etags)) for job, etag in slot.todo),
        owes=_promises(slot.owes, generations),
        forgets=_promises(slot.forgets, generations),
    )


def _entries(
    entries: tuple[tuple[int, int, int], ...], etags: Numbers, generations: Numbers
) -> tuple[tuple[int, int, int], ...]:
    """Of a ticket: a stale etag has its row read, as no etag has."""
    return tuple(
        (job, _generation(job, generation, generations), max(0, _etag(job, etag, etags)))
        for job, generation, etag in entries
    )


@lru_cache(100_000)
def _promises(promises: tuple[Promise, ...], generations: Numbers) -> tuple[Promise, ...]:
    return tuple(
        tuple((job, _generation(job, generation, generations)) for job, generation in promise) for promise in promises
    )


def _renumbered(state: State) -> State:
    """Message ids by what is said of them, not by their age; workers are alike too."""
    said: dict[int, list[Any]] = {message.id: [1, message[1:]] for message in state.messages}
    for slot in state.slots:
        if slot.message:
            said.setdefault(slot.message, [0]).append((slot.at, *slot[2:]))
    for job, row in enumerate(state.rows):
        if row and row.message:
            said.setdefault(row.message, [0]).append(("~row", job, row.delivery))
        if row and row.claim >= 100:
            said.setdefault(row.claim // 100, [0]).append(("~claim", job, row.claim % 100))
    new = {old: number for number, old in enumerate(sorted(said, key=said.__getitem__), 1)}
    held = {slot.execution for slot in state.slots}
    accepted = [(job, execution) for job, execution in state.accepted if execution in held]
    if all(old == number for old, number in new.items()):
        return state._replace(
            messages=tuple(sorted(state.messages)), slots=tuple(sorted(state.slots)), accepted=frozenset(accepted)
        )
    new[0] = 0

    def claim(old: int) -> int:
        return 100 * new[old // 100] + old % 100 if old >= 100 else old

    return state._replace(
        rows=tuple(row and row._replace(message=new[row.message], claim=claim(row.claim)) for row in state.rows),
        messages=tuple(sorted(message._replace(id=new[message.id]) for message in state.messages)),
        slots=tuple(sorted(slot._replace(message=new[slot.message]) for slot in state.slots)),
        accepted=frozenset((job, claim(end)) for job, end in accepted),
    )
