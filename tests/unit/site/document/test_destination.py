"""A destination is all that its section says, with its secrets; each mistake is one sentence at its place."""

from collections.abc import Mapping

import pytest

from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret
from towerops_agent.site.document.destination import Destination, read_destination
from towerops_agent.site.document.nodes import Mistake, Problem, Section, compose

HELD = {
    ("file", "t"): "hush-file",
    ("env", "T"): "hush-env",
    ("file", "odd"): "hush hush",
    ("file", "line"): "hush\nhush",
    ("file", "blanks"): " hush-file \t",
}
W = "remote_write: https://p.example/w"
I1 = "influxdb: https://i, database: d"
I2 = "influxdb: https://i, org: o, bucket: b"
URL = "https://host/path or http://host/path, without user, query or fragment"
ONE = "expected one of them"
TOKEN = "is not one: expected printable ASCII characters without spaces"
NO_URL = (
    "there is no URL: expected remote_write: the receiver's URL, https://…/api/v1/write, "
    "or influxdb: the server's URL, https://host:8086, or otlp: the receiver's URL, https://host:4318/v1/metrics"
)
HEADER = "expected a header's name that the agent does not make itself"


def held(how: str, name: str) -> str:
    if (how, name) not in HELD:
        raise InvalidConfig(f"the {how} {name} is not there")
    return HELD[how, name]


def read(text: str, warnings: list[Problem] | None = None, file: str = "/etc/site/a.yaml") -> Destination:
    section = Section(file, "a destination", compose(file, f"{{{text}}}".encode()), None)
    return read_destination(section, held, [] if warnings is None else warnings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (W, {}),
        (
            f"{W}, name: north, order: any, max_metrics: 7, labels: {{z: '1', a: x}}",
            {"name": "north", "fresh_first": True, "max_metrics": 7, "labels": (("a", "x"), ("z", "1"))},
        ),
        (f"{W}, order: time", {}),
        (f"{W}, bearer_token_file: t", {"bearer": Secret("hush-file")}),
        (f"{W}, username: u, password_env: T", {"user": ("u", Secret("hush-env"))}),
        (
            f"{W}, ca_file: ca.pem, client_cert: /c.pem, client_key: keys/k.pem",
            {"ca_file": "/etc/site/ca.pem", "client_cert": "/c.pem", "client_key": "/etc/site/keys/k.pem"},
        ),
        (
            f"{W}, headers: {{X-Two: b, X-One: a, X-Key_env: T, X-Other_file: t}}",
            {
                "headers": (("X-Two", "b"), ("X-One", "a")),
                "secret_headers": (("X-Key", Secret("hush-env")), ("X-Other", Secret("hush-file"))),
            },
        ),
        (  # blanks around a header's value are not a part of it, and an HTTP library refuses to send them
            f"{W}, headers: {{X-One: ' a b ', X-Key_file: blanks}}",
            {"headers": (("X-One", "a b"),), "secret_headers": (("X-Key", Secret("hush-file")),)},
        ),
        (f"{W}, headers: {{Authorization_env: T}}", {"secret_headers": (("Authorization", Secret("hush-env")),)}),
    ],
)
def test_a_destination_is_what_its_section_says_and_nothing_else(text, expected):
    assert read(text) == Destination(**{"name": "p.example", "url": "https://p.example/w", "kind": "remote_write", **expected})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (I1, {"url": "https://i/write?db=d&precision=ns"}),
        (
            f"{I1}, retention_policy: week, bearer_token_env: T, order: time",
            {"url": "https://i/write?db=d&precision=ns&rp=week", "bearer": Secret("hush-env"), "fresh_first": False},
        ),
        (f"{I2}, token_file: t", {"url": "https://i/api/v2/write?org=o&bucket=b&precision=ns", "token": Secret("hush-file")}),
        ("otlp: https://i", {"url": "https://i/v1/metrics", "kind": "otlp"}),
        ("otlp: https://i/", {"url": "https://i/v1/metrics", "kind": "otlp"}),
        ("influxdb: https://i/X/, database: d", {"url": "https://i/X/write?db=d&precision=ns"}),
    ],
)
def test_an_influxdb_and_a_receiver_of_otlp_have_urls_of_their_own(text, expected):
    assert read(text) == Destination(**{"name": "i", "kind": "influxdb", "fresh_first": True, **expected})


def test_files_are_beside_a_site_file_that_is_named_without_a_folder():
    assert read(f"{W}, ca_file: ca.pem", file="a.yaml").ca_file == "./ca.pem"


@pytest.mark.parametrize("key", ["bearer_token", "password"])
def test_a_secret_that_stands_in_the_file_is_used_with_a_warning_at_its_place(key):
    warnings: list[Problem] = []
    text = f"{W}, {'username: u, ' if key == 'password' else ''}{key}: hush"
    read(text, warnings)
    (warning,) = warnings
    assert warning.text == f"{key} stands in the file: better {key}_file or {key}_env, which keep it out"
    assert text[warning.place.column - 2 :] == "hush"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9090/w", "http://[::1]/w", "http://localhost/w"])
def test_a_secret_may_go_to_this_machine_in_the_clear(url):
    assert read(f"remote_write: '{url}', bearer_token_env: T").url == url


# The text, and of its mistake the text at its place, and what is said.
MISTAKES: Mapping[str, tuple[str, str]] = {
    "name: x": (
        "{",
        NO_URL,
    ),
    f"{W}, influxdb: https://i": ("https://i", "remote_write and influxdb are both given: expected a destination each"),
    f"otlp: https://i, {W}": ("https://i", "remote_write and otlp are both given: expected a destination each"),
    **{
        f"{W}, {key}: x": ("x}", f"{key} is not a key of a destination of remote_write: expected it beside influxdb")
        for key in ("database", "retention_policy", "org", "bucket", "token", "token_file", "token_env")
    },
    **{
        f"{W}, {key}: ": (key, f"{key} is not a key of a destination of remote_write: expected it beside influxdb")
        for key in ("token", "token_file", "token_env")
    },
    "otlp: https://i, database: d": ("d}", "database is not a key of a destination of otlp: expected it beside influxdb"),
    **{
        f"remote_write: '{url}'": (f"'{url}", f"remote_write is '{url}': expected {URL}")
        for url in (
            "p.example",
            "ftp://p",
            "https://",
            "https:///w",
            "https://p:0/",
            "https://p:x/",
            "https://p:65536/",
            "https://[p",
        )
    },
    **{
        f"remote_write: '{url}'": (f"'{url}", f"remote_write: expected {URL}")
        for url in ("https://u:hush@p/", "https://p/?hush", "https://p/#hush", "https://p/ hush")
    },
    f"{W}, username: u": ("{", "username and password: expected both, or neither"),
    **{
        f"{W}, username: '{name}', password_file: t": (
            f"'{name}'",
            "username has a colon in it, behind which a receiver reads the password: expected one without",
        )
        for name in ("u:hush", "u:", ":")
    },
    f"{W}, password_file: t": ("{", "username and password: expected both, or neither"),
    f"{W}, username: u, password_file: t, bearer_token_file: t": ("{", f"bearer_token and password are both given: {ONE}"),
    f"{I2}, token_file: t, bearer_token_file: t": ("{", f"bearer_token and token are both given: {ONE}"),
    f"{I2}, token_file: t, headers: {{AUTHORIZATION_file: t}}": ("{", f"token and AUTHORIZATION are both given: {ONE}"),
    f"{W}, bearer_token_file: t, bearer_token_env: T": ("T}", f"bearer_token_file and bearer_token_env are both given: {ONE}"),
    f"{W}, bearer_token: hush, bearer_token_env: T": ("T}", f"bearer_token and bearer_token_env are both given: {ONE}"),
    f"{W}, bearer_token_file: lost": ("lost", "the file lost is not there"),
    f"{W}, bearer_token: ": ("bearer_token", "bearer_token is empty: expected a text"),
    f"{W}, bearer_token_file: odd": ("{", f"bearer_token {TOKEN}"),
    f"{W}, bearer_token_file: line": ("{", f"bearer_token {TOKEN}"),
    f"{W}, bearer_token: hüsh": ("{", f"bearer_token {TOKEN}"),
    f"{I2}, token_file: odd": ("{", f"token {TOKEN}"),
    "remote_write: http://p/, bearer_token_file: t": (
        "http://p/",
        "remote_write is http:// and there is a secret to send: expected https://",
    ),
    "otlp: http://p/, headers: {X-K_env: T}": ("http://p/", "otlp is http:// and there is a secret to send: expected https://"),
    f"{W}, client_cert: c": ("c}", "client_cert is given without client_key: expected both, or neither"),
    f"{W}, client_key: k": ("k}", "client_key is given without client_cert: expected both, or neither"),
    f"{W}, order: fast": ("fast", "order is 'fast': expected time or any"),
    f"{W}, max_metrics: 0": ("0}", "max_metrics is '0': expected a whole number from 1 to 10000"),
    f"{W}, max_metrics: 10001": ("10001", "max_metrics is '10001': expected a whole number from 1 to 10000"),
    f"{W}, name: {'x' * 65}": ("xxx", f"name is '{'x' * 65}': expected a name of 1 to 64 printable characters"),
    f"{W}, labels: {{le: x}}": ("le: x", "label le is one that the agent or Prometheus makes: expected another name"),
    f"{W}, headers: [x]": ("[x]", "headers is a list: expected a mapping, as in key: value"),
    **{
        f"{W}, headers: {{{name}: x}}": (f"{name}: x", f"header '{name.encode('unicode_escape').decode()}': {HEADER}")
        for name in ("X A", "Xé", "-", "X_A", "HOST", "Content-Type", "X-Prometheus-Remote-Write-Version")
    },
    f"{W}, headers: {{authorization: Bearer x}}": (
        "authorization",
        "header authorization is a secret: expected authorization_file or authorization_env",
    ),
    f"{W}, headers: {{Host_file: t}}": ("Host_file", f"header 'Host_file': {HEADER}"),
    f"{W}, headers: {{X-A: ü}}": ("ü", "header X-A: expected printable ASCII characters"),
    f"{W}, headers: {{X-A_file: line}}": ("line", "header X-A_file: expected printable ASCII characters"),
    f"{W}, headers: {{X-A_file: lost}}": ("lost", "the file lost is not there"),
    f"{W}, headers: {{X-A_file: }}": ("X-A_file", "X-A_file is empty: expected a text"),
    f"{W}, headers: {{X-A: }}": ("X-A", "X-A is empty: expected a text"),
    "influxdb: https://i": ("{", "expected database, of InfluxDB 1, or org and bucket, of InfluxDB 2"),
    "influxdb: https://i, org: o": ("{", "bucket is missing: expected it in a destination"),
    "influxdb: https://i, bucket: b": ("{", "org is missing: expected it in a destination"),
    f"{I1}, bucket: b": ("d, ", "database is for InfluxDB 1, org and bucket are for InfluxDB 2: expected one of them"),
    f"{I1}, org: o": ("d, ", "database is for InfluxDB 1, org and bucket are for InfluxDB 2: expected one of them"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_of_a_destination_is_one_sentence_at_its_place_without_a_secret(text):
    with pytest.raises(Mistake) as caught:
        read(text)
    begin, said = MISTAKES[text]
    problem = caught.value.problem
    assert problem.text == said
    assert (problem.place.file, problem.place.line) == ("/etc/site/a.yaml", 1)
    assert f"{{{text}}}"[problem.place.column - 1 :].startswith(begin)
    assert "hush" not in str(caught.value)


def test_what_is_just_within_bounds_is_accepted():
    one = read(f"{W}, name: {'x' * 64}, max_metrics: 10000, headers: {{X-9: '~ !'}}")
    assert (len(one.name), one.max_metrics, one.headers) == (64, 10_000, (("X-9", "~ !"),))
    assert read("remote_write: 'https://p:65535/'").url == "https://p:65535/"
