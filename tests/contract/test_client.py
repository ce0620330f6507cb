"""Each row of the answers' table in docs/api.md, over real HTTP."""

import asyncio
import gzip
import zlib
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from contract.scripted_server import ScriptedServer, answer
from towerops_agent import __version__
from towerops_agent.api import client as client_module
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.contract import Heartbeat
from towerops_agent.api.wire.outcomes import (
    Accepted,
    ConfigFetched,
    NotFound,
    NotModified,
    Redirected,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from towerops_agent.config.document.text import ConfigIntake, config_text
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Counters
from towerops_agent.delivery.course.pace import MOST_IN_FLIGHT
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret

TOKEN = "t0ken-of-the-test"
NOW = datetime(2026, 1, 9, 19, 22, 15, tzinfo=UTC)
OK = answer(200, {"status": "accepted", "received": 1})


def client_of(url: str, **options) -> ApiClient:
    return ApiClient(url, TokenSource(Secret(TOKEN)), now=lambda: NOW, **options)


async def posted(*answers, **options):
    """What came of one POST of metrics to a server that gives these answers."""
    async with ScriptedServer(list(answers)).serve() as url, client_of(url, **options) as client:
        return await client.post_metrics(b'{"metrics":[]}', "key-1")


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_2xx_with_json_is_accepted(status):
    assert await posted(answer(status, {"status": "accepted", "received": 7})) == Accepted(status, received=7)


async def test_204_has_no_body_to_be_json_and_is_accepted():
    assert await posted(answer(204)) == Accepted(204)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_2xx_without_a_body_is_accepted(status):
    assert await posted(answer(status)) == Accepted(status)
    assert await posted(answer(status, b"\r\n" if status != 204 else b"")) == Accepted(status)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>Sign in to the hotel's network</html>", "a body that is not JSON: <html>Sign in"),
        (b'{"status": "accep', "a body that is not JSON: "),
        (b"[" * 100_000, "a body that is not JSON: [["),
        (b"null", "a body that is not a JSON object: null"),
        (b"[]", "a body that is not a JSON object: []"),
        (b"true", "a body that is not a JSON object: true"),
        (b"200", "a body that is not a JSON object: 200"),
        (b'"accepted"', "a body that is not a JSON object: "),
        (b'{"status": "error"}', "a body that reports an error: "),
        (b'{"status": "ERROR", "received": 2}', "a body that reports an error: "),
        (b'{"pad": "' + b"x" * (1 << 20) + b'"}', "a body of more than 1 MiB: "),
    ],
)
async def test_a_2xx_that_does_not_acknowledge_is_not_a_delivery(body, reason):
    """A captive portal answers 200 to everything, and a proxy may have a page of its own."""
    outcome = await posted(answer(200, body))
    assert isinstance(outcome, Unavailable)
    assert (outcome.status, outcome.retry_after_s) == (200, None)
    assert outcome.reason.startswith(f"status 200 with {reason}")


@pytest.mark.parametrize("received", [None, True, "7", -1.5, [7]])
async def test_a_count_that_is_not_an_integer_is_not_a_count(received):
    assert await posted(answer(200, {"status": "accepted", "received": received})) == Accepted(200)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, Unauthorized(401)), (403, Unauthorized(403)), (404, NotFound("/api/v1/agent/metrics")), (413, TooLarge())],
)
async def test_answers_with_an_outcome_of_their_own(status, expected):
    assert await posted(answer(status, {"error": "no"})) == expected


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_with_a_web_page_may_be_another_s_and_is_shown(status):
    """A web application firewall says 403 to whatever it does not like: to look for another token does not help then."""
    outcome = await posted(answer(status, b"\n<html><title>Request blocked by Acme</title>"))
    assert isinstance(outcome, Unauthorized)
    assert f"({status}): does a proxy or a firewall on the way answer" in outcome.reason
    assert "Request blocked by Acme" in outcome.reason
    assert "blocked" not in Unauthorized(status).reason


@pytest.mark.parametrize("status", [400, 422])
async def test_a_rejection_carries_the_beginning_of_the_servers_reason(status):
    assert await posted(answer(status, b"value: \x1b[31mnot finite\r\n\x00")) == Rejected(status, "value: [31mnot finite")
    long = await posted(answer(status, b"x" * 5000))
    assert isinstance(long, Rejected)
    assert len(long.reason) == 300


@pytest.mark.parametrize("status", [400, 422])
async def test_a_web_page_is_a_rejection_too(status):
    """It may be all that the server's framework says of a metric that can't be used: the halves show whether it is."""
    outcome = await posted(answer(status, b"<!DOCTYPE html><html>Bad Request</html>"))
    assert isinstance(outcome, Rejected)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_named_and_not_followed(status):
    other = ScriptedServer([OK])
    async with other.serve() as elsewhere:
        assert await posted(answer(status, Location=f"{elsewhere}/x")) == Redirected(status, f"{elsewhere}/x")
    assert other.connections == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 418, 405])
async def test_all_other_answers_mean_later(status):
    outcome = await posted(answer(status, b"busy"))
    assert outcome == Unavailable(f"status {status}: busy", status)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("8", 8.0), ("0", 0.0), ("86400", 600.0), ("Fri, 09 Jan 2026 19:22:45 GMT", 30.0), ("soon", None), ("-1", None)],
)
async def test_retry_after_is_read_as_seconds_or_date(header, seconds):
    outcome = await posted(answer(503, b"busy", Retry_After=header))
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after_s == seconds


async def test_a_retry_after_date_is_seen_from_the_servers_clock():
    date, until = "Mon, 01 Jan 2001 00:00:00 GMT", "Mon, 01 Jan 2001 00:00:10 GMT"
    outcome = await posted(answer(503, b"busy", Date=date, Retry_After=until))
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after_s == 10.0


async def test_a_cut_connection_is_unavailable():
    assert isinstance(await posted("cut"), Unavailable)
    assert isinstance(await posted(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{"), Unavailable)


@pytest.mark.parametrize("rest", ["cut", "missing", "encoded otherwise"])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, Redirected(302, "https://x/")),
        (401, Unauthorized(401)),
        (404, NotFound("/api/v1/agent/metrics")),
        (413, TooLarge()),
        (422, Rejected(422, "no reason given")),
        (503, Unavailable("status 503: an empty body", 503, 7.0)),
    ],
)
async def test_what_a_status_says_holds_without_the_whole_of_its_body(status, outcome, rest):
    """A server that refuses a large request hangs up on what is still on its way, and its own answer may break off at that."""
    told = answer(status, b"no" if rest == "encoded otherwise" else b"", Location="https://x/", Retry_After="7")
    if rest == "encoded otherwise":
        told = told.replace(b"Content-Length", b"Content-Encoding: gzip\r\nContent-Length")
    else:
        told = told.replace(b"Content-Length: 0", b"Content-Length: 9" + (b"\r\nConnection: close" if rest == "cut" else b""))
    assert await posted(told, read_timeout_s=0.05) == outcome


async def test_what_was_received_of_a_body_is_shown():
    told = answer(422, b"value: not finite").replace(b"Content-Length: 17", b"Content-Length: 90\r\nConnection: close")
    assert await posted(told) == Rejected(422, "value: not finite")


async def test_an_answer_that_began_is_not_of_a_port_that_expects_tls():
    outcome = await posted(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{")
    assert "https" not in outcome.reason


async def test_an_answer_that_is_not_http_is_unavailable():
    assert isinstance(await posted(b"220 mail.example.net ESMTP Connection: close\r\n\r\n"), Unavailable)


async def test_a_refused_connection_says_so():
    async with ScriptedServer([OK]).serve() as url:
        pass
    async with client_of(url) as client:
        assert await client.get_config(ConfigIntake()) == Unavailable("no connection: Connection refused")


async def test_a_server_that_never_answers_is_given_up():
    outcome = await posted("hang", read_timeout_s=0.05)
    assert outcome == Unavailable("no answer within 0.05 s", timed_out=True)


async def test_a_server_that_drips_is_given_up(monkeypatch):
    """Each octet would begin the read timeout again."""
    monkeypatch.setattr(client_module, "ANSWER_WITHIN_S", 0.05)
    assert await posted("drip") == Unavailable("no complete answer within 0.05 s", timed_out=True)


async def test_a_cancelled_request_leaves_the_client_usable():
    server = ScriptedServer(["hang", OK])
    async with server.serve() as url, client_of(url) as client:
        task = asyncio.create_task(client.post_metrics(b"{}", "key-1"))
        await server.hanging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.post_metrics(b"{}", "key-1") == Accepted(received=1)


async def test_a_post_carries_the_token_the_key_and_its_encoding():
    server = ScriptedServer([OK])
    body = gzip.compress(b'{"metrics":[]}')
    async with server.serve() as url, client_of(url + "/") as client:
        await client.post_metrics(body, "key-7", "gzip")
        await client.post_heartbeat(Heartbeat(version="0.1.0", hostname="poller-1", uptime_seconds=3))
    metrics, heartbeat = server.asked
    assert (metrics.method, metrics.path, metrics.body) == ("POST", "/api/v1/agent/metrics", body)
    wanted = {
        "authorization": f"Bearer {TOKEN}",
        "idempotency-key": "key-7",
        "content-encoding": "gzip",
        "content-type": "application/json",
        "user-agent": f"towerops-agent/{__version__}",
    }
    assert wanted.items() <= metrics.headers.items()
    assert (heartbeat.method, heartbeat.path) == ("POST", "/api/v1/agent/heartbeat")
    assert heartbeat.body == b'{"version":"0.1.0","hostname":"poller-1","uptime_seconds":3}'
    assert "content-encoding" not in heartbeat.headers
    assert server.connections == 1


async def test_no_cookie_is_kept():
    server = ScriptedServer([answer(200, {}, Set_Cookie="session=1; Path=/")])
    async with server.serve() as url, client_of(url) as client:
        await client.post_metrics(b"{}", "key-1")
        await client.post_metrics(b"{}", "key-2")
    assert "cookie" not in server.asked[1].headers


async def test_the_configuration_comes_with_its_etag_and_the_difference_of_the_clocks():
    date, later = "Fri, 09 Jan 2026 19:22:15 GMT", "Fri, 09 Jan 2026 20:22:15 GMT"
    server = ScriptedServer([answer(200, b"{}", ETag='"1"', Date=date), answer(304, Date=later)])
    async with server.serve() as url, client_of(url) as client:
        assert await client.get_config(ConfigIntake()) == ConfigFetched(config_text(b"{}"), '"1"', 0.0)
        assert await client.get_config(ConfigIntake(), '"1"') == NotModified(-3600.0)
    assert "if-none-match" not in server.asked[0].headers
    assert server.asked[1].headers["if-none-match"] == '"1"'


@pytest.mark.parametrize(
    "bad",
    [
        *(b"", b"[]", b"<html>", b'{"equipment": 5}', b'{"equipment": [{"id": "a"}'),
        b'{"status": "Error", "message": "the database is away"}',  # else all devices would be forgotten until the next fetch
    ],
)
async def test_a_body_that_is_not_a_configuration_is_not_an_answer(bad):
    async with ScriptedServer([answer(200, bad, ETag='"1"')]).serve() as url, client_of(url) as client:
        outcome = await client.get_config(ConfigIntake())
    assert isinstance(outcome, Unavailable)
    assert outcome.status == 200
    assert outcome.reason.startswith("the configuration can't be used: ")


async def test_a_web_page_in_place_of_a_configuration_is_shown():
    """As of a captive portal: it says who answers. Of what may be a configuration nothing is shown: credentials are in it."""
    page = b"\n<html><title>Log in to the guest network</title>"
    async with ScriptedServer([answer(200, page), answer(200, b'{"a": s3cret')]).serve() as url, client_of(url) as client:
        outcome = await client.get_config(ConfigIntake())
        broken = await client.get_config(ConfigIntake())
    assert isinstance(outcome, Unavailable)
    said = "<html><title>Log in to the guest network</title>"
    assert (outcome.reason, outcome.status) == (f"the configuration can't be used: it is a web page: {said}", 200)
    assert isinstance(broken, Unavailable)
    assert "s3cret" not in broken.reason


@pytest.mark.parametrize(
    ("parts", "is_shown"), [((b"\n", b"<p>Log in"), True), ((b'{"name": "', b'<b>", "community": s3cret'), False)]
)
async def test_a_web_page_is_recognized_by_its_beginning_and_not_in_the_middle(parts, is_shown):
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
    told = answer(200, Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"") + body
    async with ScriptedServer([told]).serve() as url, client_of(url) as client:
        outcome = await client.get_config(ConfigIntake())
    assert isinstance(outcome, Unavailable)
    assert ("web page" in outcome.reason) == is_shown
    assert "s3cret" not in outcome.reason


async def test_all_requests_that_delivery_has_under_way_reach_the_server_at_once():
    """And the heartbeat and the fetch of the configuration beside them: nothing waits for another's answer."""
    most = MOST_IN_FLIGHT + 2
    all_there = asyncio.Barrier(most)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        await all_there.wait()
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, client_of(f"http://{host}:{port}") as client:
        outcomes = await asyncio.gather(*(client.post_metrics(b"{}", f"key-{number}") for number in range(most)))
    assert set(outcomes) == {Accepted(received=1)}


async def test_a_304_that_was_not_asked_for_is_not_a_configuration():
    async with ScriptedServer([answer(304)]).serve() as url, client_of(url) as client:
        assert await client.get_config(ConfigIntake()) == Redirected(304, "")


@pytest.mark.parametrize("bomb", [False, True])
async def test_a_body_without_end_does_not_fill_memory(monkeypatch, bomb):
    monkeypatch.setattr(client_module, "MOST_CONFIG_OCTETS", 1 << 20)
    body = b" " * (3 << 20)
    told = answer(200, zlib.compress(body), Content_Encoding="deflate") if bomb else answer(200, body)
    async with ScriptedServer([told]).serve() as url, client_of(url) as client:
        assert await client.get_config(ConfigIntake()) == Unavailable("a configuration of more than 1 MiB", 200)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"plain", "gzip"),
        (gzip.compress(b'{"received": 7}')[:-12], "gzip"),
        (gzip.compress(b'{"received": 7}')[:-4], "gzip"),  # all that it says, but not what shows that it is all
        (gzip.compress(b'{"received": 7}')[:5], "gzip"),  # an empty body would be an answer
        (b'{"received": 7}', "br"),  # which nobody asked for
        (gzip.compress(gzip.compress(b'{"received": 7}')), "gzip, gzip"),
    ],
    ids=["plain", "cut", "without its end", "begun", "unasked", "twice"],
)
async def test_a_body_that_is_not_encoded_as_it_says_is_unavailable(body, encoding):
    outcome = await posted(answer(200, body, Content_Encoding=encoding))
    assert outcome == Unavailable("the answer's body is not encoded as its Content-Encoding says")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity", "deflate"])
async def test_a_body_is_decoded_as_it_says(encoding):
    plain = b'{"received": 7}'
    body = {"identity": plain, "deflate": zlib.compress(plain)}.get(encoding) or gzip.compress(plain)
    server = ScriptedServer([answer(200, body, Content_Encoding=encoding)])
    async with server.serve() as url, client_of(url) as client:
        assert await client.post_metrics(b"{}", "key-1") == Accepted(received=7)
    assert server.asked[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8, none"])
async def test_other_words_than_encodings_say_nothing_of_a_body(encoding):
    assert await posted(answer(200, b'{"received": 7}', Content_Encoding=encoding)) == Accepted(received=7)
    assert await posted(answer(200, gzip.compress(b'{"received": 7}'), Content_Encoding=f"{encoding}, gzip")) == Accepted(
        received=7
    )


@pytest.mark.parametrize("encoding", ["gzip", "snappy", "br"])
async def test_what_an_encoding_is_does_not_matter_without_a_body(encoding):
    for told in (answer(204, Content_Encoding=encoding), answer(200, Content_Encoding=encoding)):
        assert isinstance(await posted(told), Accepted)


async def test_a_token_that_the_server_echoes_is_not_passed_on():
    outcome = await posted(answer(400, f"bad header Authorization: Bearer {TOKEN}".encode()))
    assert outcome == Rejected(400, "bad header Authorization: Bearer ***")
    assert await posted(answer(302, Location=f"https://x/?t={TOKEN}")) == Redirected(302, "https://x/?t=***")


@pytest.mark.parametrize(
    "written",
    [
        TOKEN.replace("-", "\\u002d"),
        TOKEN.replace("-", "\\-"),
        TOKEN.replace("-", "%2d"),
        TOKEN.replace("-", "&#45;"),
        b64encode(f"Bearer {TOKEN}".encode()).decode(),
    ],
)
async def test_nor_is_one_that_the_server_escapes_or_encodes(written):
    outcome = await posted(answer(503, f'{{"error": "no upstream for {written}"}}'.encode()))
    assert isinstance(outcome, Unavailable)
    assert written not in outcome.reason
    assert "***" in outcome.reason
    assert TOKEN.partition("-")[2] not in outcome.reason


async def test_a_token_file_is_read_again_on_demand(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    server = ScriptedServer([answer(401), OK])
    async with server.serve() as url, ApiClient(url, TokenSource(path=file)) as client:
        await client.post_metrics(b"{}", "key-1")
        client.reread_token()
        assert client.token_rotations == 0
        file.write_text(" second ")
        client.reread_token()
        assert client.token_rotations == 1
        await client.post_metrics(b"{}", "key-1")
        file.write_text("two words")
        with pytest.raises(SettingsError, match="without spaces") as raised:
            client.reread_token()
        assert "two words" not in str(raised.value)
        await client.post_metrics(b"{}", "key-1")
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer first", "Bearer second", "Bearer second"]


async def test_a_proxy_that_cant_be_used_is_the_operators_to_know(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:s3cret@proxy")
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as raised:
        async with client_of("https://api.invalid"):
            pass
    assert "s3cret" not in str(raised.value)


async def test_an_address_that_is_not_one_is_the_operators_to_know():
    """10.0.0.256 would be a name to urllib, by which settings are read; each request would end in a bug."""
    with pytest.raises(SettingsError, match=r"^the URL https://10\.0\.0\.256 can't be used \(.*10\.0\.0\.256.*\): expected "):
        async with client_of("https://10.0.0.256"):
            pass


def test_nothing_of_a_client_shows_the_token():
    token = TokenSource(Secret(TOKEN))
    client = ApiClient("https://localhost", token)
    assert TOKEN not in repr(client) + repr(vars(client)) + repr(vars(token))


async def test_an_etag_larger_than_the_server_accepts_is_dropped():
    """A load balancer adds 30 kB of state to the ETag, and refuses it as a header that is too large."""
    etag = answer(200, b'{"equipment": []}', ETag=f'"{"x" * 30_000}"')
    server = ScriptedServer([etag, answer(431), etag, etag])

    async def applied(read):
        pass

    async def kept():
        return None

    async with server.serve() as url, client_of(url) as client:
        sync = ConfigSync(client, Counters(), apply=applied, keep=applied, kept=kept)
        outcomes = [await sync.fetch_once() for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [ConfigFetched] * 3
    assert [len(asked.headers.get("if-none-match", "")) for asked in server.asked] == [0, 30_002, 0, 0]
