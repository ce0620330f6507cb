"""What the text of one setting must be, to the last character of the bounds, and what the message says if it is not."""

from pathlib import Path

import pytest

from towerops_agent.model import Secret
from towerops_agent.setting import (
    Unfit,
    as_format,
    as_group,
    as_level,
    as_listen,
    as_member,
    as_servers,
    as_switch,
    as_token,
    as_url,
    as_weight,
    as_whole,
)
from towerops_agent.settings import as_path


def whole(text: str) -> int:
    return as_whole("seconds", (5, 86_400))(text)


CHARACTERS = "https://… without spaces or control characters"
PARTS = "https://… without user, password, query or fragment"
HOST = "https://host, https://host:port or https://[IPv6 address]:port, with a port from 1 to 65535"
SCHEME = "https://…; http:// is accepted only for localhost"
PORT = "a port from 1 to 65535"
TOKEN = "printable ASCII characters without spaces, as an HTTP header allows"
WHOLE = "a whole number of seconds from 5 to 86400"
LEVEL, FORMAT = "debug, info, warning or error", "logfmt or json"
LISTEN = "host:port or [IPv6 address]:port, as in 127.0.0.1:9464, with a port from 0 (any free one) to 65535"
SERVERS = (
    "nats://host:port or tls://host:port, several with commas between, this machine's own server first; "
    "a user and its password belong into GROUP_CREDENTIALS_FILE"
)
GROUP = "at most 64 letters, digits, hyphens and underscores, the same for all agents of the group"
MEMBER = "at most 100 characters without spaces, another name for each agent of the group"
WEIGHT = "a number from 0.1 to 100, as in 1 or 2.5"
PATH = "the path in full: it is only a shell that replaces ~ or a variable, and not in --option=~/…"
SWITCH = "yes or no (or 1 or 0, true or false, on or off)"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (as_url, "https://api.example", "https://api.example"),
        (as_url, "https://api.example//", "https://api.example"),
        (as_url, "https://api.example/X", "https://api.example/X"),
        (as_url, "http://[::1]:65535/base/", "http://[::1]:65535/base"),
        (as_url, "https://h:1", "https://h:1"),
        (as_token, "!~aZ09", Secret("!~aZ09")),
        (whole, "5", 5),
        (whole, "86400", 86_400),
        (whole, "000000010", 10),
        (as_path, "/a~$b", Path("/a~$b")),
        (as_path, "./~/c", Path("~/c")),
        (as_level, "INFO", "info"),
        (as_level, "Warn", "warning"),
        (as_level, "err", "error"),
        (as_format, "JSON", "json"),
        (as_format, "logfmt", "logfmt"),
        (as_listen, "127.0.0.1:0", ("127.0.0.1", 0)),
        (as_listen, "[::1]:65535", ("::1", 65_535)),
        (as_listen, "my-host.example_1:00080", ("my-host.example_1", 80)),
        (as_servers, "nats://a:4222/", ("nats://a:4222",)),
        (as_servers, " tls://a , nats://b:1,,", ("tls://a", "nats://b:1")),
        (as_servers, "nats://!~", ("nats://!~",)),
        (as_servers, "nats://X/", ("nats://X",)),
        (as_group, "a", "a"),
        (as_group, "Az09_-" + "x" * 58, "Az09_-" + "x" * 58),
        (as_member, "x" * 100, "x" * 100),
        (as_member, "tür-1", "tür-1"),
        (as_weight, "0.1", 0.1),
        (as_weight, "100.000", 100.0),
        (as_weight, "2.5", 2.5),
        *((as_switch, text, True) for text in ("1", "true", "YES", "on", "y")),
        *((as_switch, text, False) for text in ("0", "false", "No", "OFF", "n")),
    ],
)
def test_a_text_that_fits(parse, text, value):
    assert parse(text) == value
    assert type(parse(text)) is type(value)


@pytest.mark.parametrize(
    ("parse", "texts", "wanted"),
    [
        (as_url, ["https://a b", "https://a\x7f", " https://a", "https://a\xa0b"], CHARACTERS),
        (as_path, ["~", "~/towerops-agent.db", "~root/a", "$HOME/a", "${STATE_DIRECTORY}/a"], PATH),
        (as_url, ["https://u@h", "https://h?x", "https://h#x", "https://u:p@h"], PARTS),
        (as_url, ["https://h:x", "https://h:65536", "https://[::1", "https://h:-1"], HOST),
        (as_url, ["ftp://h", "https://", "h", "//h", "https:///x"], SCHEME),
        (as_url, ["https://h:0"], PORT),
        (as_token, ["a b", "a\x7f", "ü", "a\n"], TOKEN),
        (whole, ["4", "86401", "", "-5", "5.0", "\u0665", "²", "5s", "0000000010", "10" * 9], WHOLE),
        (as_level, ["trace", "", "infos"], LEVEL),
        (as_format, ["xml", ""], FORMAT),
        (
            as_listen,
            ["9464", "h:", "h:65536", "h:000080", "h:x", "h:-1", "h:²", "[::1:80", "::1]:80", "::1:80", "[h]:80"],
            LISTEN,
        ),
        (as_listen, ["h ost:80", ":80", "[127.0.0.1]:80", "a..b:80"], LISTEN),
        (
            as_servers,
            ["", ",", "http://a", "nats://", "nats://a:0", "nats://a:x", "nats://u@a", "nats://a/x", "nats://a?x"],
            SERVERS,
        ),
        (as_servers, ["nats://a,b", "nats://a b", "nats://ü", "nats://a\x7f", "nats://[::1"], SERVERS),
        (as_group, ["", "x" * 65, "a b", "ü", "a\n"], GROUP),
        (as_member, ["x" * 101, "a b", "a\x00", "a\n"], MEMBER),
        (as_weight, ["0", "0.09", "100.1", "-1", "1.", ".5", "1.2345", "1e1", "nan", "1000"], WEIGHT),
        (as_switch, ["", "ja", "2", "truee"], SWITCH),
    ],
)
def test_a_text_that_does_not_fit_is_answered_with_what_is_wanted(parse, texts, wanted):
    for text in texts:
        with pytest.raises(Unfit) as refused:
            parse(text)
        assert str(refused.value) == wanted, text
