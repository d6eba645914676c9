"""Everything jobq raises on purpose.

JobqError                 one `except` for all of them; `exit_code` is what the command line ends with
├── BadInput              a value breaks a rule (also a ValueError)                              2
│   └── TooLarge          it is over a limit of the backend
├── NotFound              no such realm, job or log (also a KeyError)                            3
├── NotAllowed            the backend or the service refused the caller: role or key missing     4
├── IllegalTransition     the job's state forbids it (also a ValueError)                         1
│   └── RealmClosed       its realm is being deleted
├── Unreachable           the backend or the service did not answer; nothing is known            9
│   └── ReplyLost         a write was sent and its answer was lost: it may have been applied
├── Conflict              a change's precondition did not hold; names the change's index         1
├── LeaseLost             another worker has received the ticket meanwhile                       1
├── NoRoom                this machine cannot start a job now: no disk, memory or processes left  1
├── JobsFailed            what was waited for has failed                                         5
├── TimedOut              what was waited for did not come in time                               7
└── PartlyDone            some of it was done, the message says how much                         8
"""

from __future__ import annotations


class JobqError(Exception):
    """What happened, why, and what to do, in one paragraph."""

    exit_code = 1


class BadInput(JobqError, ValueError):
    exit_code = 2


class TooLarge(BadInput):
    pass


class NotFound(JobqError, KeyError):
    exit_code = 3

    __str__ = Exception.__str__  # KeyError would print the message in quotes


class NotAllowed(JobqError):
    exit_code = 4

    def __init__(self, message: str, *, fix: str = "") -> None:
        """`fix`: the command that gives what is missing, where one does; the message has it, too."""
        super().__init__(message)
        self.fix = fix


class IllegalTransition(JobqError, ValueError):
    pass


class RealmClosed(IllegalTransition):
    pass


class Unreachable(JobqError):
    exit_code = 9


class ReplyLost(Unreachable):
    pass


class Conflict(JobqError):
    """A change set was refused as a whole because the precondition of `changes[index]` did not hold."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class LeaseLost(JobqError):
    pass


class NoRoom(JobqError):
    pass


class JobsFailed(JobqError):
    exit_code = 5


class TimedOut(JobqError):
    exit_code = 7


class PartlyDone(JobqError):
    exit_code = 8
