"""The token: given, or in a file; never shown."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from towerops_agent.api.bearer import TokenSource
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret


def test_a_given_token_stays():
    source = TokenSource(Secret("t0ken"))
    source.reread()
    assert (source.token, source.rotations) == (Secret("t0ken"), 0)


@pytest.mark.parametrize("content", [b"t0ken", b" t0ken\r\n", b"\xef\xbb\xbft0ken\n"])
def test_whitespace_and_a_byte_order_mark_around_it_are_dropped(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    assert TokenSource(path=tmp_path / "token").token == Secret("t0ken")


@pytest.mark.parametrize("content", [b"", b"\n", b"t0 ken", b"t0ken\nmore", b"t\xc3\xb6ken", b"\xff", None])
def test_a_file_without_a_token_is_an_error_that_does_not_show_it(tmp_path, content):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=str(file)) as raised:
        _ = TokenSource(path=file).token
    assert "t0" not in str(raised.value).replace(str(file), "")


@pytest.mark.parametrize("content", ["'t0ken'", '"t0ken"', "TOWEROPS_AGENT_TOKEN=t0ken", "TOKEN='t0ken'"])
def test_quotes_and_names_around_a_token_are_an_error_at_the_start_and_not_a_token(tmp_path, content):
    (tmp_path / "file").write_text(content)
    with pytest.raises(SettingsError, match="expected only the token") as raised:
        _ = TokenSource(path=tmp_path / "file").token
    assert "t0ken" not in str(raised.value)


def test_a_token_that_ends_in_equals_signs_is_one(tmp_path):
    (tmp_path / "file").write_text("QUJD==")
    assert TokenSource(path=tmp_path / "file").token == Secret("QUJD==")


def test_a_fifo_is_not_a_token_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SettingsError, match="not a regular file"):
        _ = TokenSource(path=tmp_path / "fifo").token


def test_a_directory_is_not_a_token_file_and_does_not_stay_open(tmp_path):
    """It is read again before each fetch: a descriptor each time would use them up."""
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        with pytest.raises(SettingsError, match="it is a directory"):
            _ = TokenSource(path=tmp_path).token
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_no_token_at_all_names_the_settings():
    with pytest.raises(SettingsError, match="TOWEROPS_AGENT_TOKEN"):
        _ = TokenSource().token


def test_each_token_that_is_read_is_reported_before_anybody_has_it(tmp_path):
    """So that the log hides it, also the one that comes later."""
    file = tmp_path / "token"
    file.write_text("one")
    told = []
    source = TokenSource(path=file, on_token=told.append)
    _ = source.token
    file.write_text("two")
    source.reread()
    assert told == [Secret("one"), Secret("two")]


def test_each_change_is_counted_and_a_bad_file_changes_nothing(tmp_path):
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenSource(path=file)
    assert source.token == Secret("one")
    file.write_text("two")
    with capture_logs() as lines:
        source.reread()
        source.reread()
        file.write_text("")
        with pytest.raises(SettingsError):
            source.reread()
    assert [line["event"] for line in lines] == ["token file holds a new token, in use from now on"]
    assert (source.token, source.rotations) == (Secret("two"), 1)
