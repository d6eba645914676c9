"""Messages for whoever asks for them: a receive that is always pending, and none that lies here unwanted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from azure.servicebus import ServiceBusReceivedMessage

from jobq.adapters.service_bus_receiver import GLANCE_SECONDS, BusReceiver
from jobq.errors import JobqError

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.5
"""A queue that has had leave to send for so long, and has not, has nothing."""
SLICE_SECONDS = 0.25
"""A wait for messages lets renewals and settlements in after so long; the longer one where nothing is held."""
IDLE_SLICE_SECONDS = 1.0
LINGER_SECONDS = 1.0
"""Who has asked mostly asks again. After so long the leave to send is taken back."""
CLOSE_AFTER_SECONDS = 120.0
"""A link that nobody uses is closed."""

Messages = list[ServiceBusReceivedMessage]


@dataclass(eq=False, slots=True)
class _Ask:
    limit: int
    until: float
    at: float = field(default_factory=time.monotonic)
    answer: asyncio.Future[Messages] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Intake:
    """A task of its own talks to the receiver, so that a caller who stops waiting interrupts nothing half done.

    What the service has leave to send is locked when it comes, and lost to others for as long. So there is leave for
    one message while a queue is quiet, for as many as are wanted while they flow, and for none when nobody wants any.
    """

    def __init__(self, receiver: BusReceiver) -> None:
        self._receiver = receiver
        self._asks: deque[_Ask] = deque()
        self._early: deque[ServiceBusReceivedMessage] = deque()
        """Came when whoever had asked was gone."""
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_flowing = False
        self._has_leave = False
        """Whether the service may send a message now."""
        self._leave_at = 0.0
        """Since when, on the monotonic clock."""

    async def take(self, limit: int, wait_seconds: float) -> Messages:
        """Up to `limit`, as soon as there is one; none if nothing has come within the wait.

        Raises what the receiver raises. Whoever is cancelled here has taken nothing.
        """
        ask = _Ask(limit, until=time.monotonic() + wait_seconds)
        self._asks.append(ask)
        self._asked.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="jobq-intake")
        task = self._task
        try:
            await asyncio.wait((ask.answer, task), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not ask.answer.cancel() and not ask.answer.exception():  # it came just then
                self._early.extendleft(reversed(ask.answer.result()))
                self._asked.set()
            raise
        if not ask.answer.done():
            task.result()  # a fault of ours, which must not leave anybody waiting
        return ask.answer.result()

    async def close(self) -> None:
        """The receiver can be closed after this, and gives back what was on its way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            if not self._waiting():
                await self._idle()
                continue
            try:
                await self._serve()
            except JobqError as error:
                self._note(is_flowing=False, has_leave=False)
                for ask in self._waiting():
                    ask.answer.set_exception(error)

    def _waiting(self) -> deque[_Ask]:
        """Those who still want an answer."""
        self._asks = deque(ask for ask in self._asks if not ask.answer.done())
        return self._asks

    async def _serve(self) -> None:
        """Something for those who wait, or the time to tell them that there is nothing."""
        if self._early:
            self._hand_out(deque(self._early), began_at=0.0)
            return
        asks, began_at = self._waiting(), time.monotonic()
        if self._is_flowing:
            wanted = sum(ask.limit for ask in asks)
            messages = await self._receiver.receive_flow(wanted)
            self._note(is_flowing=len(messages) == wanted, has_leave=len(messages) < wanted)
            self._hand_out(deque(messages), began_at=0.0)
            return
        messages = await self._receiver.receive(1, self._patience(max(ask.until for ask in asks), began_at))
        self._note(is_flowing=bool(messages), has_leave=not messages)
        self._hand_out(deque(messages), began_at=began_at)

    def _note(self, *, is_flowing: bool, has_leave: bool) -> None:
        if has_leave and not self._has_leave:
            self._leave_at = time.monotonic()
        self._is_flowing, self._has_leave = is_flowing, has_leave

    def _patience(self, until: float, now: float) -> float:
        """Seconds for a call that waits until then, and in any case long enough to be sure that there is nothing."""
        longest = SLICE_SECONDS if self._receiver.is_holding else IDLE_SLICE_SECONDS
        waited = now - self._leave_at if self._has_leave and self._receiver.is_open else 0.0
        return max(min(until - now, longest), QUIET_SECONDS - waited, GLANCE_SECONDS)

    def _hand_out(self, messages: deque[ServiceBusReceivedMessage], *, began_at: float) -> None:
        """Those who asked first get first; where there is nothing, those who have waited long enough are told.

        Not by a call that began before they asked: it may have ended too soon.
        """
        now = time.monotonic()
        for ask in self._waiting():
            if messages:
                ask.answer.set_result([messages.popleft() for _ in range(min(ask.limit, len(messages)))])
            elif ask.at <= began_at and now >= ask.until:
                ask.answer.set_result([])
        self._early = messages

    async def _idle(self) -> None:
        """Until somebody asks again."""
        self._asked.clear()
        if self._has_leave or self._early:
            if not await self._is_asked_within(LINGER_SECONDS):
                await self._tidy()
        elif self._receiver.is_holding:
            await self._asked.wait()
        elif not await self._is_asked_within(CLOSE_AFTER_SECONDS):
            await self._receiver.close()
            await self._asked.wait()

    async def _is_asked_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._asked.wait()
        return False

    async def _tidy(self) -> None:
        """Take back the leave to send, and give back what came for nobody."""
        self._note(is_flowing=False, has_leave=False)
        early, self._early = self._early, deque()
        try:
            await self._receiver.revoke()
            for message in early:
                await self._receiver.abandon(str(message.lock_token))
        except JobqError as error:
            logger.debug("left messages to their locks: %s", error)
