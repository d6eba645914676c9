"""One queue as Service Bus keeps it: no AMQP, no tasks, and the time it is told.

Sources: "Message transfers, locks, and settlement", "Service Bus dead-letter queues", "Message sequencing and
timestamps", "Message expiration" and "Duplicate detection" in the Service Bus documentation. What it does not say, and
how it is here: a deferral is no failed delivery; a deferred message that fails too often is dead-lettered like any
other; a duplicate of a scheduled message gets a sequence number that names nothing.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count

from tests.broker.messages import (
    DeadLettering,
    Lock,
    LockLost,
    Message,
    MessageNotFound,
    MessageTooLarge,
    Posted,
    QueueFull,
    QueueSpec,
    State,
)
from tests.broker.shelf import RecentIds, Shelf

DEAD_LETTER_QUEUE = "$DeadLetterQueue"

Clock = Callable[[], float]
"""Seconds since the epoch."""


class Queue:
    """Every call first lets happen what is due by the clock: locks run out, scheduled messages arrive, old ones expire.

    Calls with several tokens or numbers do all or nothing.
    """

    def __init__(
        self,
        spec: QueueSpec,
        clock: Clock,
        *,
        counts: Counter[str] | None = None,
        on_active: Callable[[Queue], None] = lambda queue: None,
        has_dead_letters: bool = True,
    ) -> None:
        """`on_active` is called in the midst of a change, when a message can be received; it may only take note."""
        self.spec = spec
        self._clock = clock
        self._counts: Counter[str] = Counter() if counts is None else counts
        self._on_active = on_active
        self._numbers = count(1)
        self._shelf = Shelf()
        self._recent = RecentIds()
        self._locks: dict[uuid.UUID, int] = {}
        self.dead_letters: Queue = self
        """That of a dead-letter queue is itself."""
        if has_dead_letters:
            below = replace(spec, name=f"{spec.name}/{DEAD_LETTER_QUEUE}", duplicate_window=None, time_to_live=None)
            self.dead_letters = Queue(below, clock, counts=counts, on_active=on_active, has_dead_letters=False)

    @property
    def has_active(self) -> bool:
        """Whether `lock_next` would find a message."""
        self.advance()
        return self._shelf.has_ready

    @property
    def active_count(self) -> int:
        """How many could be received now."""
        return sum(message.state is State.ACTIVE and message.lock is None for message in self.messages())

    @property
    def locked_count(self) -> int:
        return sum(message.lock is not None for message in self.messages())

    @property
    def scheduled_count(self) -> int:
        return sum(message.state is State.SCHEDULED for message in self.messages())

    @property
    def deferred_count(self) -> int:
        """How many are deferred and not locked."""
        return sum(message.state is State.DEFERRED and message.lock is None for message in self.messages())

    @property
    def dead_letter_count(self) -> int:
        self.advance()
        return len(self.dead_letters.messages())

    @property
    def size_bytes(self) -> int:
        """The contents of all messages, those in the dead-letter queue included."""
        return self._shelf.size_bytes + (0 if self.dead_letters is self else self.dead_letters.size_bytes)

    def messages(self) -> list[Message]:
        """All that are in the queue, by sequence number; those in the dead-letter queue are not."""
        self.advance()
        return self._shelf.all()

    def send(self, posted: Sequence[Posted]) -> list[int]:
        """The sequence numbers. A duplicate gets one too, which names nothing. Raises MessageTooLarge, QueueFull."""
        self.advance()
        self._check_room(posted)
        return [self._accept(one) for one in posted]

    def lock_next(self) -> Message | None:
        """The first message that can be received, locked."""
        message = self._take_ready()
        return None if message is None else self._lock(message)

    def take_next(self) -> Message | None:
        """The first message that can be received, which is gone from the queue."""
        message = self._take_ready()
        return None if message is None else self._take(message)

    def receive_deferred(self, *numbers: int, locks: bool = True) -> list[Message]:
        """Deferred messages: locked, or else gone from the queue. Raises MessageNotFound."""
        return [(self._lock if locks else self._take)(message) for message in self._in_state(numbers, State.DEFERRED)]

    def renew(self, *tokens: uuid.UUID) -> float:
        """Until when the locks now last. Raises LockLost."""
        until = self._lock_end()
        for message in self._held(tokens):
            self._counts["renewed"] += 1
            self._hold(message, Lock(self._token(message.sequence_number), until))
        return until

    def complete(self, *tokens: uuid.UUID) -> None:
        """Raises LockLost, as all that settles does."""
        for message in self._held(tokens):
            self._remove(message)
            self._counts["completed"] += 1

    def abandon(self, *tokens: uuid.UUID) -> None:
        """Back to their places; counts as a failed delivery."""
        for message in self._held(tokens):
            self._counts["abandoned"] += 1
            self._give_back(message, has_failed=True)

    def release(self, *tokens: uuid.UUID) -> None:
        """Back to their places as if they had never been delivered."""
        for message in self._held(tokens):
            self._counts["released"] += 1
            self._give_back(message, has_failed=False)

    def defer(self, *tokens: uuid.UUID) -> None:
        """To be received by sequence number only."""
        for message in self._held(tokens):
            self._counts["deferred"] += 1
            self._shelf.replace(replace(self._unlocked(message), state=State.DEFERRED))

    def dead_letter(self, *tokens: uuid.UUID, why: DeadLettering) -> None:
        for message in self._held(tokens):
            self._bury(message, why)

    def peek(self, first: int, limit: int) -> list[Message]:
        """Up to `limit` messages in any state, from the sequence number `first` on."""
        found = [message for message in self.messages() if message.sequence_number >= first][:limit]
        self._counts["peeked"] += len(found)
        return found

    def cancel(self, *numbers: int) -> None:
        """Scheduled messages will not arrive. Raises MessageNotFound."""
        for message in self._in_state(numbers, State.SCHEDULED):
            self._remove(message)
            self._counts["cancelled"] += 1

    def expire_lock(self, which: int | uuid.UUID) -> None:
        """End a lock now, given by its token or by the message's sequence number. Raises LockLost."""
        self.advance()
        token = which if isinstance(which, uuid.UUID) else self._token(which)
        for message in self._held([token]):
            self._counts["lock-expired"] += 1
            self._give_back(message, has_failed=True)

    def expire_locks(self) -> None:
        """End all locks now."""
        self.advance()
        for token in [*self._locks]:
            self.expire_lock(token)

    def advance(self) -> None:
        """Let happen what is due by the clock."""
        now = self._clock()
        while due := self._shelf.due(now):
            when, message = due
            self._look_at(message, when)

    def _look_at(self, message: Message, now: float) -> None:
        if message.lock is not None:
            if message.lock.until <= now:
                self._counts["lock-expired"] += 1
                self._give_back(message, has_failed=True)
        elif message.state is State.SCHEDULED:
            self._remove(message)
            self._enqueue(message.posted, now)
        elif message.state is State.ACTIVE and message.expires_at is not None and message.expires_at <= now:
            self._expire(message)

    def _check_room(self, posted: Sequence[Posted]) -> None:
        largest = max((len(one.content) for one in posted), default=0)
        if largest > self.spec.max_message_bytes:
            raise MessageTooLarge(f"a message of {largest} bytes; {self.spec.name} takes {self.spec.max_message_bytes}")
        new = sum(len(one.content) for one in posted)
        if self.spec.max_bytes is not None and self.size_bytes + new > self.spec.max_bytes:
            raise QueueFull(f"{self.spec.name} holds {self.size_bytes} of {self.spec.max_bytes} bytes, and {new} came")

    def _accept(self, posted: Posted) -> int:
        now = self._clock()
        if self._is_duplicate(posted.message_id, now):
            self._counts["duplicates"] += 1
            return next(self._numbers)
        if posted.due is None or posted.due <= now:
            self._counts["sent"] += 1
            return self._enqueue(posted, now)
        self._counts["scheduled"] += 1
        message = Message(next(self._numbers), posted, posted.due, expires_at=None, state=State.SCHEDULED)
        self._shelf.add(message)
        self._shelf.look_again(message, posted.due)
        return message.sequence_number

    def _is_duplicate(self, message_id: str, now: float) -> bool:
        window = self.spec.duplicate_window
        return window is not None and message_id != "" and self._recent.has(message_id, now=now, window=window)

    def _enqueue(self, posted: Posted, now: float) -> int:
        # A scheduled message gets its number here as well: it takes its place in the order when it arrives.
        lives = [life for life in (posted.time_to_live, self.spec.time_to_live) if life is not None]
        expires_at = now + min(lives).total_seconds() if lives else None
        message = Message(next(self._numbers), posted, now, expires_at)
        self._shelf.add(message)
        self._make_ready(message)
        return message.sequence_number

    def _take_ready(self) -> Message | None:
        self.advance()
        return self._shelf.take_ready()

    def _take(self, message: Message) -> Message:
        self._counts["delivered"] += 1
        self._remove(message)
        return message

    def _lock(self, message: Message) -> Message:
        self._counts["delivered"] += 1
        lock = Lock(uuid.uuid4(), self._lock_end())
        self._locks[lock.token] = message.sequence_number
        return self._hold(message, lock)

    def _hold(self, message: Message, lock: Lock) -> Message:
        self._shelf.look_again(message, lock.until)
        return self._shelf.replace(replace(message, lock=lock))

    def _lock_end(self) -> float:
        return self._clock() + self.spec.lock.total_seconds()

    def _held(self, tokens: Iterable[uuid.UUID]) -> list[Message]:
        self.advance()
        numbers = [self._locks.get(token) for token in dict.fromkeys(tokens)]
        if None in numbers:
            raise LockLost("the lock supplied is invalid: it has expired, or the message was removed from the queue")
        return [self._shelf[number] for number in numbers if number is not None]

    def _token(self, number: int) -> uuid.UUID:
        message = self._shelf.get(number)
        if message is None or message.lock is None:
            raise LockLost(f"nobody holds message {number} of {self.spec.name}")
        return message.lock.token

    def _in_state(self, numbers: Iterable[int], state: State) -> list[Message]:
        self.advance()
        found = [self._shelf.get(number) for number in dict.fromkeys(numbers)]
        messages = [one for one in found if one is not None and one.state is state and one.lock is None]
        if len(messages) < len(found):
            raise MessageNotFound(f"not all of the messages are in {self.spec.name} and {state.name.lower()}")
        return messages

    def _unlocked(self, message: Message) -> Message:
        if message.lock is not None:
            del self._locks[message.lock.token]
        return replace(message, lock=None)

    def _give_back(self, message: Message, *, has_failed: bool) -> None:
        message = self._shelf.replace(
            replace(self._unlocked(message), delivery_count=message.delivery_count + has_failed)
        )
        if message.delivery_count >= self.spec.max_delivery_count and self.dead_letters is not self:
            text = f"Message could not be consumed after {message.delivery_count} delivery attempts."
            self._bury(message, DeadLettering("MaxDeliveryCountExceeded", text))
        elif message.state is State.ACTIVE:
            self._make_ready(message)

    def _make_ready(self, message: Message) -> None:
        self._shelf.make_ready(message)
        if message.expires_at is not None:
            self._shelf.look_again(message, message.expires_at)
        self._on_active(self)

    def _expire(self, message: Message) -> None:
        self._counts["expired"] += 1
        if self.spec.dead_letters_expired:
            text = "The message expired and was dead lettered."
            self._bury(message, DeadLettering("TTLExpiredException", text))
        else:
            self._remove(message)

    def _bury(self, message: Message, why: DeadLettering) -> None:
        # Sequence number and enqueued time stay; a dead-lettered message lives for ever.
        self._counts["dead-lettered"] += 1
        self._remove(message)
        buried = replace(message, lock=None, state=State.ACTIVE, expires_at=None, dead_lettering=why)
        self.dead_letters._shelf.add(buried)
        self.dead_letters._make_ready(buried)

    def _remove(self, message: Message) -> None:
        self._unlocked(message)
        self._shelf.remove(message)
