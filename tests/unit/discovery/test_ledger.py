"""What was tried, remembered between runs."""

import stat

import pytest

from towerops_agent.discovery.course.tries import Tried, Tries
from towerops_agent.discovery.ledger import LedgerUnusable, ledger_path, read_ledger, write_ledger

NOW = 1_800_000_000.0


def test_what_is_written_is_read(tmp_path):
    """Only its owner can read it; it has no secret, but says where devices are."""
    path = tmp_path / "state" / "discovery.json"
    assert read_ledger(path).known == {}
    tries = Tries({"10.0.0.1 161": Tried("radios"), "10.0.0.2 161": Tried("", [NOW, NOW])})
    write_ledger(path, tries, NOW)
    assert read_ledger(path).known == tries.known
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_runs_add_up(tmp_path):
    path = tmp_path / "discovery.json"
    first, second = read_ledger(path), read_ledger(path)
    first.failed("10.0.0.1 161", "a", 1, NOW)
    second.failed("10.0.0.2 161", "a", 1, NOW)
    write_ledger(path, first, NOW)
    write_ledger(path, second, NOW)
    assert set(read_ledger(path).known) == {"10.0.0.1 161", "10.0.0.2 161"}


@pytest.mark.parametrize("octets", [b"", b"{", b'{"10.0.0.1 161": 1}', b"\xff"])
def test_a_file_that_is_something_else_is_not_overwritten(tmp_path, octets):
    path = tmp_path / "discovery.json"
    path.write_bytes(octets)
    with pytest.raises(LedgerUnusable, match="is not what"):
        read_ledger(path)
    with pytest.raises(LedgerUnusable):
        write_ledger(path, Tries(), NOW)
    assert path.read_bytes() == octets


def test_a_directory_that_can_not_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnusable, match="can't be"):
        write_ledger(tmp_path / "file" / "discovery.json", Tries(), NOW)


def test_its_place(tmp_path):
    assert ledger_path({"XDG_STATE_HOME": "/s", "HOME": "/h"}).as_posix() == "/s/towerops-agent/discovery.json"
    assert ledger_path({"HOME": "/h"}).as_posix() == "/h/.local/state/towerops-agent/discovery.json"
    with pytest.raises(LedgerUnusable, match="HOME is not set"):
        ledger_path({})
