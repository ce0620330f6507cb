"""No poll is in memory only for longer than the window, whatever else comes and goes."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.buffer.waiting import Waiting

WINDOW_S = 5.0

steps = st.lists(
    st.tuples(st.sampled_from(["put", "hold", "take"]), st.floats(0, 7), st.integers(0, 3)),
    max_size=40,
)


def row(number: int):
    return (1, number, 1, b"x" * 10, 0)


@given(steps)
def test_the_oldest_poll_in_memory_only_is_due_within_the_window(steps):
    """A step takes a while in which polls come, as writing them on a slow disk does; they are due by when they came."""
    waiting = Waiting(WINDOW_S, cap=1_000)
    now_s = 0.0
    came_s: list[float] = []  # of those in memory only

    def put() -> None:
        came_s.append(now_s)
        waiting.put(row(len(came_s)), lambda: now_s)

    for what, lasts_s, meanwhile in steps:
        if what == "hold":
            held, seen_s = waiting.not_held(), now_s
        elif what == "take":
            while waiting.take(1_000, 1 << 20):
                pass
            came_s.clear()
        else:
            put()
        for _ in range(meanwhile):
            now_s += lasts_s / (meanwhile + 1)
            put()
        now_s += lasts_s / (meanwhile + 1)
        if what == "hold":
            waiting.note_held(len(held), seen_s)
            del came_s[: len(held)]
        assert waiting.due_s <= (came_s[0] + WINDOW_S if came_s else inf)
        assert waiting.due_s == inf or came_s
