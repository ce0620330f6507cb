"""Requests to one device that are under way together over UDP: a volley of them, and those that follow from its answers.

SnmpClient.ask_together -> here -> the client's sockets, and from there each reply. One future and one timer serve all of them.
I/O: timers, and what Link passes on. Seconds (`_s`) on the event loop's clock.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from towerops_agent.counters import Count, Counters
from towerops_agent.snmp.session import Take
from towerops_agent.snmp.wire.exchange import Answer, Exchanges, NoReply, Peer, Transaction
from towerops_agent.snmp.wire.message import Request
from towerops_agent.snmp.wire.usm import Security

_EARLY_S: Final = 0.002
"""A timer that fires so much before a deadline was for it."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a volley uses of its client. `waiting`: who waits for the answer to each open request.

    `send`: sends a datagram; None if it was sent, or lost by the system for now, else the system's error. `catch_up`: reads the
    replies that have arrived while the agent was busy.
    """

    loop: asyncio.AbstractEventLoop
    exchanges: Exchanges
    waiting: dict[Transaction, Any]
    counters: Counters
    send: Callable[[Transaction, bytes], NoReply | None]
    catch_up: Callable[[Peer], None]


class Volley:
    """Requests under way together. `answer`: set once `take` has nothing more to ask; `open`: those that await a reply."""

    __slots__ = (
        *("_deadline_s", "_from_any", "_link", "_peer", "_replies", "_security", "_take", "_timeouts_s", "_timer"),
        *("answer", "open"),
    )

    def __init__(
        self, link: Link, peer: Peer, security: Security, timeouts_s: Sequence[float], from_any: bool, take: Take
    ) -> None:
        """All but `link`: as SnmpClient.ask_together's."""
        self.answer: asyncio.Future[None] = link.loop.create_future()
        self.open: dict[Transaction, None] = {}
        self._link = link
        self._peer = peer
        self._security = security
        self._timeouts_s = timeouts_s
        self._from_any = from_any
        self._take = take
        self._replies: dict[Transaction, Answer | None] = {}  # to each request of the last volley, None without one
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None  # it may fire before the deadline, and does not after it

    def launch(self, requests: Sequence[Request]) -> None:
        """Send the requests."""
        link, peer, security, timeouts_s, from_any = self._link, self._peer, self._security, self._timeouts_s, self._from_any
        now = link.loop.time()
        transactions = [Transaction(peer, security, request, timeouts_s, from_any) for request in requests]
        self._replies = dict.fromkeys(transactions)
        self.open.update(dict.fromkeys(transactions))
        link.waiting.update(dict.fromkeys(transactions, self))
        link.counters.add(Count.SNMP_REQUESTS, "sent", len(transactions))
        for transaction in transactions:
            step = link.exchanges.attempt(transaction, now)
            failure = None if step is None else link.send(transaction, step[0])
            if failure is not None:
                self.settle(transaction, failure)
        self._deadline_s = now + timeouts_s[0]
        if not self.open:
            self.go_on()
        elif self._timer is None or self._timer.when() > self._deadline_s:
            if self._timer is not None:
                self._timer.cancel()  # of a repetition, which waits longer
            self._timer = link.loop.call_at(self._deadline_s, self._expire)

    def settle(self, transaction: Transaction, reply: Answer) -> None:
        """Note the reply to one of the open ones. If it was the last of them, `go_on` is to be called."""
        self._replies[transaction] = reply
        del self.open[transaction]
        del self._link.waiting[transaction]

    def go_on(self) -> None:
        """Pass on what was answered, and send what follows from it."""
        for transaction in list(self.open):
            self.settle(transaction, self._link.exchanges.give_up(transaction))
        try:
            requests = self._take([reply for reply in self._replies.values() if reply is not None])
            if requests:
                self.launch(requests)
            elif not self.answer.done():
                self.answer.set_result(None)
        except Exception as error:  # noqa: BLE001 -- it belongs to the task that asks
            self._fail(error)

    def close(self) -> None:
        """Nothing is awaited any more."""
        if self._timer is not None:
            self._timer.cancel()
        for transaction in self.open:
            self._link.exchanges.close(transaction)
            del self._link.waiting[transaction]

    def _expire(self) -> None:
        """At the deadline, or at that of a volley before."""
        self._timer = None
        if self.answer.done():
            return
        try:
            self._repeat_or_go_on()
        except Exception as error:  # noqa: BLE001 -- it belongs to the task that asks, which would wait for good
            self._fail(error)

    def _repeat_or_go_on(self) -> None:
        link = self._link
        now = link.loop.time()
        if now < self._deadline_s - _EARLY_S:
            self._timer = link.loop.call_at(self._deadline_s, self._expire)
            return
        link.catch_up(self._peer)
        if not self.open or self._timer is not None:
            return  # it has ended, or has asked for more
        now = link.loop.time()  # reading takes its time, which is not the device's
        if len(self._replies) == 1:
            (transaction,) = self.open
            if transaction.attempts < len(self._timeouts_s) and (step := link.exchanges.attempt(transaction, now)) is not None:
                link.counters.add(Count.SNMP_REQUESTS, transaction.kind)
                failure = link.send(transaction, step[0])
                if failure is None:
                    self._deadline_s = now + step[1]
                    self._timer = link.loop.call_at(self._deadline_s, self._expire)
                    return
                self.settle(transaction, failure)
        self.go_on()

    def _fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
