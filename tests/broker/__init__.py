"""An AMQP 1.0 broker that behaves like the queues of Azure Service Bus, in pure Python, for tests on loopback.

    async with Broker(QueueSpec("jobs", lock=timedelta(seconds=5))) as broker:
        client = ServiceBusClient.from_connection_string(broker.connection_string, retry_backoff_factor=0.1)
        ...
    assert broker.violations == []

It runs in the test's event loop, on the clock that the test gives it, breaks what it is told to break, and keeps a list
of what a strict peer would hang up on. `python -m tests.broker` runs it as a process of its own.

There are no sessions, topics, transactions, WebSockets or TLS; tokens do not run out, and idle links stay attached.
"""

from tests.broker.broker import Broker
from tests.broker.faults import Break, Delay, Refuse
from tests.broker.messages import QueueSpec

DROP_BEFORE = Break.DROP_BEFORE
DROP_AFTER = Break.DROP_AFTER
LOSE_REPLY = Break.LOSE_REPLY
IGNORE = Break.IGNORE
DETACH = Break.DETACH

__all__ = [
    "DETACH",
    "DROP_AFTER",
    "DROP_BEFORE",
    "IGNORE",
    "LOSE_REPLY",
    "Break",
    "Broker",
    "Delay",
    "QueueSpec",
    "Refuse",
]
