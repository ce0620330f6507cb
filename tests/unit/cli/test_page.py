"""`page` serves other machines only with a password by TLS, and writes a file without a secret."""

import os
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from support.recorded import SECRETS, TOKEN, left, record
from towerops_agent.cli.page import page

TEXT = TOKEN.reveal()


def run(*arguments, token=TEXT):
    return CliRunner().invoke(page, [*map(str, arguments)], env={"TOWEROPS_AGENT_TOKEN": token})


@contextmanager
def pipe_reader(pipe):
    """What came out of the pipe, once the block has ended."""
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    yield read
    reader.join()


@pytest.fixture
async def database(tmp_path):
    path = tmp_path / "agent.db"
    await record(path, 60, snapshot=left())
    return path


def test_a_file_has_the_whole_site_no_secret_and_only_its_owner_reads_it(database, tmp_path):
    output = tmp_path / "site.html"
    made = run("--database-path", database, "--output", output)
    assert (made.exit_code, made.output) == (0, "")
    octets = output.read_bytes()
    assert octets.startswith(b"<!doctype html>")
    assert b"Router \\u003cNorth>" in octets
    assert [secret for secret in SECRETS if secret.encode() in octets] == []
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_its_owners_only(database, tmp_path):
    output = tmp_path / "site.html"
    output.touch()
    output.chmod(0o644)
    assert run("--database-path", database, "--output", output).exit_code == 0
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_pipe_keeps_its_mode(database, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o640)
    with pipe_reader(pipe) as read:
        assert run("--database-path", database, "--output", pipe).exit_code == 0
    assert read[0].startswith(b"<!doctype html>")
    assert pipe.stat().st_mode & 0o777 == 0o640


def test_a_dash_writes_it_to_standard_output(database):
    made = run("--database-path", database, "--output", "-")
    assert made.exit_code == 0
    assert made.stdout_bytes.startswith(b"<!doctype html>")


def test_without_the_token_the_file_says_why_it_has_ids(database):
    made = run("--database-path", database, "--output", "-", token="")
    assert b"shown by their ids: no token" in made.stdout_bytes
    assert b"Router" not in made.stdout_bytes


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--listen", "0.0.0.0:8710"], "expected --password-file and --certificate too"),
        (["--listen", "[::]:8710"], "expected --password-file and --certificate too"),
        (["--listen", "nonsense"], "--listen is 'nonsense': expected host:port"),
        (["--listen", "127.0.0.1:0", "--key", "key.pem"], "--key without --certificate"),
        (["--listen", "127.0.0.1:0", "--certificate", "none.pem"], "the certificate none.pem can't be used"),
        (["--listen", "127.0.0.1:0", "--password-file", "none"], "the password file none cannot be read"),
        (["--output", "-", "--listen", "127.0.0.1:0"], "leave out --listen"),
    ],
)
def test_options_that_do_not_fit_are_refused(database, arguments, why):
    refused = run("--database-path", database, *arguments)
    assert refused.exit_code == 2
    assert why in refused.stderr


def test_another_machine_is_not_served_without_tls_even_with_a_password(database, tmp_path):
    password = tmp_path / "password"
    password.write_text("correct horse battery")
    refused = run("--database-path", database, "--listen", "192.0.2.1:8710", "--password-file", password)
    assert (refused.exit_code, "--certificate" in refused.stderr) == (2, True)


@pytest.mark.parametrize("content", [None, b"", b"not a database at all" * 400])
def test_a_missing_a_foreign_and_a_damaged_database_are_one_line(tmp_path, content):
    path = tmp_path / "agent.db"
    if content is not None:
        path.write_bytes(content)
    for arguments in (["--output", "-"], ["--listen", "127.0.0.1:0"]):
        refused = run("--database-path", path, *arguments)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert len(refused.stderr.splitlines()) == 1
        assert refused.stderr.startswith("towerops-agent: ")


def test_a_file_that_can_not_be_written_says_so(database, tmp_path):
    refused = run("--database-path", database, "--output", tmp_path / "none" / "site.html")
    assert refused.exit_code == 1
    assert "can't be written: No such file or directory" in refused.stderr
