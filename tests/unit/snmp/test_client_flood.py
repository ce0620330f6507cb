"""When a socket is flooded: many datagrams within a second that nobody asked for, on a socket that is not new."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.snmp.client import FLOOD, FLOOD_WINDOW_S, MOVE_AGAIN_S, FloodWatch


def test_what_comes_within_a_second_counts_together():
    watch = FloodWatch(0.0)
    assert not watch.read(FLOOD - 1, 100.0)
    assert watch.read(1, 100.0 + FLOOD_WINDOW_S / 2)


def test_a_trickle_is_not_a_flood_however_long_it_lasts():
    watch = FloodWatch(0.0)
    assert not any(watch.read(FLOOD // 2, 100.0 + second) for second in range(100))


def test_a_new_socket_is_kept_for_a_while():
    watch = FloodWatch(100.0)
    assert not watch.read(FLOOD, 100.0 + MOVE_AGAIN_S - 0.1)
    assert watch.read(FLOOD, 100.0 + MOVE_AGAIN_S)


@given(st.lists(st.tuples(st.integers(0, FLOOD), st.floats(0, 1.5)), max_size=30))
def test_a_socket_is_left_only_if_so_many_came_within_a_second(reads):
    watch, now, seen = FloodWatch(0.0), 10.0, []
    for vain, pause_s in reads:
        now += pause_s
        seen.append((now, vain))
        if watch.read(vain, now):
            assert sum(n for at, n in seen if at > now - FLOOD_WINDOW_S) >= FLOOD
