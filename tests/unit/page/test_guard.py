"""Only this machine's browser reads the page, by a name of this machine, and whoever has the password."""

import base64
import socket

import pytest

from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret
from towerops_agent.page.guard import is_admitted, problem_of_host, read_password

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8700", "localhost", "LOCALHOST:8700", "[::1]:8700", "10.0.0.5", socket.gethostname()]
)
def test_the_page_is_read_by_an_address_or_a_name_of_this_machine(host):
    assert problem_of_host({"host": host}) == ""


@pytest.mark.parametrize(
    "host", ["evil.example:8700", "", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a@b", "0x7f.1"]
)
def test_another_name_that_points_here_reads_nothing(host):
    assert problem_of_host({"host": host}) == f"Host is {host!r}: expected an address, localhost or this machine's name"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_whoever_has_the_password_is_admitted_by_any_name():
    assert is_admitted(Secret(PASSWORD), basic(f"me:{PASSWORD}"))
    assert is_admitted(Secret(PASSWORD), basic(f":{PASSWORD}").replace("Basic", "basic"))
    assert is_admitted(Secret("with:colon:äöü"), basic("me:with:colon:äöü"))


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!", basic("me:wrong"), basic(PASSWORD), basic("me:"), f"Bearer {PASSWORD}", "Basic \u00e4"]
)
def test_nobody_else_is(header):
    assert not is_admitted(Secret(PASSWORD), header)


def test_the_password_is_the_one_line_of_its_file(tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    assert read_password(file) == Secret(PASSWORD)


@pytest.mark.parametrize("content", [b"", b"short", b"two lines of\ncharacters", b"\xff\xfe\xff" * 9])
def test_a_file_that_holds_no_password_is_refused_without_its_text(tmp_path, content):
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="the password file") as refused:
        read_password(file)
    assert "short" not in str(refused.value)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_password(tmp_path / "none")
