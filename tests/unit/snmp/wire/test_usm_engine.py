"""An engine's ID, boots and time, and what is logged when they change."""

import pytest

from towerops_agent.snmp.wire.usm_engine import HIGHEST, Engine, EngineChange


def heard(*messages):
    """An engine after these authenticated messages: boots, time, and when."""
    engine = Engine()
    engine.identify(b"\x80one")
    engine.changes.clear()
    for boots, time_s, now in messages:
        engine.accept(boots, time_s, now)
    return engine


def test_a_new_engine_has_no_id_and_no_time():
    engine = Engine()
    assert (engine.id, engine.boots, engine.time_s(0.0), engine.changes, engine.verified) == (b"", 0, 0, [], False)


def test_its_time_runs_on_and_has_an_end():
    engine = heard((7, 100, 50.0))
    assert engine.time_s(59.9) == 109
    assert engine.time_s(50.0 + HIGHEST) == HIGHEST


def test_another_id_is_another_engine():
    engine = heard((7, 100, 50.0))
    engine.identify(b"\x80one")
    assert (engine.changes, engine.verified) == ([], True)
    engine.identify(b"\x80two")
    assert engine.changes == [EngineChange("replaced", "806f6e65", "8074776f")]
    assert not engine.verified


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ((7, 110, 60.0), []),
        ((7, 111 - 150, 61.0), []),
        ((7, 110 - 151, 60.0), [EngineChange("boots_reset", "7/110", "7/-41")]),
        ((8, 3, 60.0), [EngineChange("restarted", "7/110", "8/3")]),
        ((6, 300, 60.0), [EngineChange("boots_reset", "7/110", "6/300")]),
    ],
)
def test_a_restart_and_a_reset_are_logged_with_boots_and_time_before_and_after(message, changes):
    engine = heard((7, 100, 50.0), message)
    assert engine.changes == changes
    assert (engine.boots, engine.time_s(message[2])) == message[:2]


def test_a_time_that_is_not_authenticated_counts_until_one_is():
    engine = Engine()
    engine.suppose(3, 9, 0.0)
    assert (engine.boots, engine.time_s(1.0)) == (3, 10)
    engine.accept(7, 100, 1.0)
    engine.suppose(3, 9, 1.0)
    assert (engine.boots, engine.time_s(1.0)) == (7, 100)
    engine.doubt()
    engine.suppose(3, 9, 1.0)
    assert engine.boots == 3


@pytest.mark.parametrize(
    ("boots", "time_s", "is_timely"),
    [(7, 100, True), (7, -50, True), (7, -51, False), (7, 10_000, True), (8, 0, True), (6, 100, False)],
)
def test_a_message_is_timely_by_rfc_3414(boots, time_s, is_timely):
    """§3.2, step 7b: of the same boots, and not more than 150 seconds behind. Later values are adopted first."""
    assert heard((7, 100, 50.0)).hear(boots, time_s, 50.0) is is_timely


def test_an_engine_at_its_last_boot_is_never_timely():
    assert not heard((HIGHEST, 100, 50.0)).hear(HIGHEST, 100, 50.0)
