"""The page over HTTP: only GET, only by a name of this machine, only with the password if there is one; whatever is asked."""

import asyncio
import base64
import gzip
import http.client
import itertools
import json
import queue
import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from support.hang import HANG_S
from support.recorded import END_US, SECRETS, TOKEN, left, record
from towerops_agent.model import Secret
from towerops_agent.page import server
from towerops_agent.page.server import MOST_GUESSES, Pages, PageServer
from towerops_agent.page.site import Site
from towerops_agent.places import MOST_CLIENTS

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "agent.db"
    asyncio.run(record(path, 60, snapshot=left()))
    return path


def pages(path, *, site=None, **options) -> Pages:
    return Pages(site or Site(path, lambda: TOKEN, lambda: END_US), **options)


@contextmanager
def served(made: Pages, tls: ssl.SSLContext | None = None, **options):
    server = PageServer(("127.0.0.1", 0), made, tls, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(port, target, method="GET", body=None, *, at="127.0.0.1", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, source_address=(at, 0))
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_page_its_data_and_a_device_are_served(database):
    with served(pages(database)) as port:
        status, headers, body = ask(port, "/")
        assert (status, headers["Content-Type"], body[:15]) == (200, "text/html; charset=utf-8", b"<!doctype html>")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert json.loads(ask(port, "/site.json")[2])["tiles"]["devices"]["figure"] == "2 of 2 up"
        status, _, body = ask(port, "/device.json?id=radio%2F%C3%BC&hours=6")
        assert (status, json.loads(body)["hours"], json.loads(body)["device"]) == (200, 6, "radio/ü")


def test_an_answer_is_compressed_for_who_can_read_that(database):
    with served(pages(database)) as port:
        _, headers, body = ask(port, "/device.json?id=router-1", **{"Accept-Encoding": "gzip, br"})
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == ask(port, "/device.json?id=router-1")[2]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"])
def test_nothing_can_be_changed(database, method):
    with served(pages(database)) as port:
        status, headers, body = ask(port, "/site.json", method, b"{}")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
        assert json.loads(body) == {"error": "only GET is answered here"}


def test_head_has_what_get_has_without_the_body(database):
    with served(pages(database)) as port:
        status, headers, body = ask(port, "/", "HEAD")
        assert (status, body) == (200, b"")
        assert headers["Content-Length"] == ask(port, "/")[1]["Content-Length"]


@pytest.mark.parametrize("target", ["/", "/site.json", "/device.json?id=router-1", "/none"])
def test_by_another_name_nothing_is_served(database, target):
    with served(pages(database)) as port:
        status, _, body = ask(port, target, Host="evil.example")
        assert status == 403
        assert b"Router" not in body


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


@pytest.mark.parametrize("target", ["/", "/site.json", "/device.json?id=router-1", "/none"])
def test_without_the_password_nothing_is_served(database, target):
    made = pages(database, password=Secret(PASSWORD))
    with served(made) as port:
        status, headers, body = ask(port, target)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="Towerops agent", charset="UTF-8"')
        assert b"Router" not in body
        assert ask(port, target, Authorization=basic("wrong" + PASSWORD))[0] == 401
        assert ask(port, target, Authorization=basic(PASSWORD))[0] != 401


def test_one_address_that_guesses_the_password_keeps_nobody_else_out(database):
    """With as many guesses at once as there are places. Those that it has to wait for are few; no other one is looked at."""
    goes_on, answers = threading.Event(), queue.SimpleQueue()
    made = pages(database, password=Secret(PASSWORD), sleep=lambda _s: goes_on.wait())
    with served(made) as port:

        def guess():
            answers.put(ask(port, "/", at="127.0.0.2", Authorization=basic("wrong" + PASSWORD))[0])

        threads = [threading.Thread(target=guess) for _ in range(MOST_CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            at_once = [answers.get(timeout=HANG_S) for _ in range(MOST_CLIENTS - MOST_GUESSES)]
            assert set(at_once) == {429}
            assert ask(port, "/", Authorization=basic(PASSWORD))[0] == 200
            assert ask(port, "/", at="127.0.0.2", Authorization=basic(PASSWORD))[0] == 429
            assert ask(port, "/", at="127.0.0.2")[0] == 401
        finally:
            goes_on.set()
            for thread in threads:
                thread.join()
        assert {answers.get() for _ in range(MOST_GUESSES)} == {401}
        assert ask(port, "/", at="127.0.0.2", Authorization=basic(PASSWORD))[0] == 200


def test_a_password_of_any_language_is_what_a_browser_sends_that_goes_by_the_charset(database):
    password = "Übergrößenträger"
    with served(pages(database, password=Secret(password))) as port:
        assert 'charset="UTF-8"' in ask(port, "/")[1]["WWW-Authenticate"]
        assert ask(port, "/", Authorization=basic(password))[0] == 200


def test_with_the_password_the_page_has_any_name_as_its_certificate_may(database):
    with served(pages(database, password=Secret(PASSWORD))) as port:
        assert ask(port, "/site.json", Host="poller.isp.example", Authorization=basic(PASSWORD))[0] == 200
        assert ask(port, "/site.json", Host="poller.isp.example")[0] == 401


def test_by_tls_the_page_is_served_and_plain_http_is_not(database, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with served(pages(database), tls=context) as port:
        client = ssl.create_default_context()
        authority.configure_trust(client)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=client)
        connection.request("GET", "/site.json")
        assert connection.getresponse().status == 200
        connection.close()
        with pytest.raises((http.client.BadStatusLine, OSError)):
            ask(port, "/site.json")


texts = st.text(max_size=20) | st.sampled_from(["router-1", "24", "0", "-1", "1e9", "../../etc/passwd", "' OR 1=1", "\x00"])
targets = st.one_of(
    st.builds(lambda path, query: f"/{path}?{query}", texts, texts),
    st.builds(lambda device, hours: f"/device.json?id={device}&hours={hours}", texts, texts),
    st.text(max_size=40),
)


@given(targets, st.sampled_from(["127.0.0.1:8710", "localhost", "evil.example", ""]))
def test_whatever_is_asked_the_answer_is_one_of_those_that_there_are(database, target, host):
    answer = pages(database).answer(target, {"host": host})
    assert answer.status in (200, 400, 403, 404)
    assert (answer.status == 403) == (host in ("evil.example", ""))
    if answer.status != 200:
        assert json.loads(answer.body).keys() == {"error"}
    assert [secret for secret in SECRETS if secret.encode() in answer.body] == []


def test_a_database_that_is_gone_is_said_in_one_line_and_the_page_stays(tmp_path):
    with served(pages(tmp_path / "none.db")) as port:
        assert ask(port, "/")[0] == 200
        status, _, body = ask(port, "/site.json")
        assert (status, json.loads(body)["error"].count("\n")) == (503, 0)
        assert "there is no database" in json.loads(body)["error"]


def test_an_answer_serves_for_ten_times_the_cpu_that_it_took_however_many_ask(database):
    """Each takes 7 seconds of CPU here. It has its own time in it, which is later each time the database is read."""
    clock, looks, cpu = [0.0], itertools.count(END_US, 1_000_000), itertools.count(0, 7)
    site = Site(database, lambda: TOKEN, lambda: next(looks))
    made = pages(database, site=site, monotonic_s=lambda: clock[0], cpu_s=lambda: next(cpu))

    def asked(target):
        return json.loads(made.answer(target, {"host": "localhost"}).body)

    first, hour = asked("/site.json"), asked("/device.json?id=router-1&hours=1")
    clock[0] = 69.9
    assert (asked("/site.json"), asked("/device.json?id=router-1&hours=1")) == (first, hour)
    assert asked("/device.json?id=router-1&hours=6")["to_us"] > hour["to_us"]
    assert asked("/device.json?id=nobody") == asked("/device.json?id=nobody") == {"error": "no device has this id"}
    clock[0] = 70.0
    assert asked("/site.json")["as_of_us"] > first["as_of_us"]
    assert asked("/device.json?id=router-1&hours=1")["to_us"] > hour["to_us"]


def test_what_serves_longer_is_a_part_of_the_memory(database, monkeypatch):
    """One answer, not two: the latest is kept."""
    looks, cpu = itertools.count(END_US, 1_000_000), itertools.count(0, 7)
    site = Site(database, lambda: TOKEN, lambda: next(looks))
    made = pages(database, site=site, monotonic_s=lambda: 0.0, cpu_s=lambda: next(cpu))

    def asked(hours):
        return made.answer(f"/device.json?id=router-1&hours={hours}", {"host": "localhost"}).body

    monkeypatch.setattr(server, "MOST_KEPT_OCTETS", len(asked(1)) * 3 // 2)
    six = asked(6)
    assert asked(6) == six
    one = asked(1)
    assert asked(1) == one
    assert asked(6) != six


def test_many_clients_are_served_side_by_side_and_one_that_says_nothing_holds_up_nobody(database):
    with served(pages(database)) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_CLIENTS // 2)]
        found = []
        threads = [
            threading.Thread(target=lambda n=n: found.append(ask(port, f"/device.json?id=router-1&hours={(1, 6, 24)[n % 3]}")[0]))
            for n in range(MOST_CLIENTS // 2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for connection in idle:
            connection.close()
    assert found == [200] * (MOST_CLIENTS // 2)


@pytest.mark.parametrize("by_tls", [False, True])
def test_clients_that_say_nothing_keep_nobody_out_however_many_they_are(database, by_tls):
    """Also those whose TLS handshake does not come. Each could be opened again as soon as its time is over."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("localhost").configure_cert(tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with served(pages(database), tls if by_tls else None) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_CLIENTS)]
        for turn in range(3):
            connection = (
                http.client.HTTPSConnection("localhost", port, context=trust)
                if by_tls
                else http.client.HTTPConnection("127.0.0.1", port)
            )
            connection.request("GET", "/site.json")
            assert connection.getresponse().status == 200
            assert idle[turn].recv(100) == b"", "it had the place"
            idle.append(connection.sock)
        for connection in idle:
            connection.close()


def test_a_client_whose_answer_is_being_made_keeps_its_place(database):
    begun, goes_on = threading.Semaphore(0), threading.Event()
    made = pages(database)
    answer = made.answer

    def slowly(*asked):
        begun.release()
        goes_on.wait()
        return answer(*asked)

    made.answer = slowly
    with served(made) as port:
        found = []
        threads = [threading.Thread(target=lambda: found.append(ask(port, "/site.json")[0])) for _ in range(MOST_CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in threads:
            begun.acquire()
        assert said_to(port, b"GET /site.json HTTP/1.0\r\nHost: localhost\r\n\r\n") == b""
        goes_on.set()
        for thread in threads:
            thread.join()
        assert found == [200] * MOST_CLIENTS
        assert ask(port, "/site.json")[0] == 200


def said_to(port: int, request: bytes, rest: bytes = b"") -> bytes:
    """What is answered to `request` and then to `rest`, an octet at a time, as far as that can be sent."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        answer = b""
        try:
            connection.sendall(request)
            for octet in rest:
                connection.sendall(bytes([octet]))
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def test_a_client_that_asks_an_octet_at_a_time_does_not_keep_its_place(database):
    """Each octet is in time; all of them together are not. A place is one of sixteen."""
    clock = itertools.count(0, 10)
    with served(pages(database), monotonic_s=lambda: next(clock)) as port:
        assert said_to(port, b"GET / HTTP/1.0\r\nHost: localhost\r\nX: ", b"x" * 10_000 + b"\r\n\r\n") == b""


def test_the_time_to_ask_begins_again_with_each_request_of_a_connection(database):
    clock = itertools.count(0, 10)
    with served(pages(database), monotonic_s=lambda: next(clock)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.connect()
        connection.auto_open = 0  # one that is closed is not opened again
        for _ in range(3):
            connection.request("GET", "/none")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (404, True)
        connection.close()


@pytest.mark.parametrize("line", [b"Content-Length : 29", b"not a header", b"\x00: 1"])
def test_a_request_with_a_line_that_is_not_a_header_is_the_last_of_its_connection(database, line):
    """Its body could be read as another request (RFC 9112 §5.1 and §11.2)."""
    with served(pages(database)) as port:
        answer = said_to(port, b"GET /none HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\nGET /site.json HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
