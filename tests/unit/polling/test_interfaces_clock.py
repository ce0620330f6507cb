"""The machine's clock, which nobody sets."""

import time

from towerops_agent.polling import interfaces as clock


def test_it_knows_how_far_the_wall_clock_is_ahead(monkeypatch):
    before = clock.boot_clock()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
    after = clock.boot_clock()
    assert after.boot == before.boot
    assert 3_000_000_000 < after.ahead_us - before.ahead_us < 4_200_000_000  # an hour, but for what passes between two looks


def test_a_boot_that_is_hidden_is_an_unknown_one(monkeypatch, tmp_path):
    for content in (None, "", "not hexadecimal"):
        place = tmp_path / "boot_id"
        if content is not None:
            place.write_text(content)
        monkeypatch.setattr(clock, "BOOT_ID", place)
        assert clock.boot_clock().boot == b""
