"""Find out which interface is which: sends the questions of identity.py.

One request in flight, as in a poll, and with the poll's knowledge of the device: sizes, OIDs that it refuses or never answers
(progress.py). I/O: through the session's `ask`. Times in seconds.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from towerops_agent.polling.course.identity import MOST_ROWS, Course, Get, Identities, Rows, Values, Walk
from towerops_agent.polling.course.plan import make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import ATTEMPTS, Traits
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Request, Value, Varbind, Version
from towerops_agent.snmp.wire.walking import WalkCourse, WalkEnd

Ask = Callable[[Request, int], Awaitable[Answer]]
"""Asks the device, with this many attempts."""

NAMES_AT_ONCE: Final = 12
"""A name may be long, and an answer should stay small."""

MOST_LOST: Final = 2
"""How many requests in a row may be lost, all attempts of them, until a question is given up for now."""


async def find(course: Course, ask: Ask, version: Version, traits: Traits, is_over: Callable[[], bool]) -> Identities:
    """The result of `course`. `is_over`: whether the time is over; the rest then stays unknown."""
    asker = _Asker(ask, version, traits, is_over)
    found: Values | Rows | None = None
    while True:
        try:
            question = next(course) if found is None else course.send(found)
        except StopIteration as end:
            identities: Identities = end.value
            return identities
        found = await (asker.get(question) if isinstance(question, Get) else asker.walk(question))


class _Asker:
    def __init__(self, ask: Ask, version: Version, traits: Traits, is_over: Callable[[], bool]) -> None:
        self._ask = ask
        self._version = version
        self._traits = traits
        self._is_over = is_over

    async def get(self, question: Get) -> Values:
        traits = self._traits
        question_columns = range(1, 1 + len(question.names))  # behind sysUpTime
        progress = PollProgress(make_plan(question.names, (), b"", min(traits.max_varbinds, NAMES_AT_ONCE)), traits)
        sizes = traits.sizes
        lost = 0
        while (ask := progress.next_ask()) is not None:
            if self._is_over() or lost > MOST_LOST:
                progress.stop(Reason.DEADLINE if lost <= MOST_LOST else Reason.TIMEOUT)
                break
            answer = await self._ask(ask.request, ask.attempts)
            if isinstance(answer, NoReply):
                lost += 1
            elif any(column in question_columns for column in ask.columns):
                lost = 0
            progress.take(ask, answer)
        if not any(progress.tags[column] for column in question_columns):
            traits.sizes = sizes  # the size is not the reason for the silence
        found: dict[bytes, tuple[int, Value]] = {}
        for column, name in enumerate(progress.names):
            if progress.tags[column]:
                found[name] = (progress.tags[column], progress.values[column])
            elif progress.failures.get(column) == Reason.NO_SUCH_NAME:
                found[name] = (ber.NO_SUCH_INSTANCE, None)
        return found

    async def walk(self, question: Walk) -> Rows:
        traits = self._traits
        course = WalkCourse(question.column, self._version, bulk=traits.bulk, most_rows=MOST_ROWS)
        rows: list[Varbind] = []
        while (request := course.next_request()) is not None:
            if self._is_over():
                return Rows(rows, complete=False)
            rows += course.take(await self._ask(request, ATTEMPTS))
        if self._version is not Version.V1 and course.end is WalkEnd.COMPLETE:
            traits.bulk = course.bulk
        return Rows(rows, course.end is WalkEnd.COMPLETE, course.silent)
