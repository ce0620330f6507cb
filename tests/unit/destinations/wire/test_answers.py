"""What a receiver's answer means: receivers say with the same status that samples are late, bad, or that they are busy."""

import pytest

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate, outcome_of

LATE = [
    (400, "out of order sample", False),
    (400, "out of bounds", True),
    (400, "duplicate sample for timestamp", False),
    (400, "sample is too old", True),
    (409, "err-mimir-sample-out-of-order", False),
    (422, "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)", True),
    (500, "out of order sample", False),
    (409, "conflict", False),
    (409, "store locally for endpoint 10.0.0.1:10901: conflict", False),
    (
        409,
        "forwarding request to endpoint a:10901: rpc error: code = AlreadyExists desc = store locally for endpoint : conflict",
        False,
    ),
    (409, "2 errors: store locally for endpoint a:10901: conflict; forwarding request to endpoint b:10901: rpc error", False),
    (409, "store locally for endpoint 127.0.0.1:12907: add 1 samples: out of order sample", False),
]


@pytest.mark.parametrize(("status", "said", "by_time"), LATE)
def test_late_is_distinguished_from_bad_whatever_the_status(status, said, by_time):
    assert outcome_of(status, said) == TooLate(status, said, by_time)


@pytest.mark.parametrize(
    ("said", "whole", "doubled"),
    [
        ("out of order sample", True, False),
        ("duplicate sample for timestamp", True, True),
        ("duplicate sample for timestamp 1767986535123; overrides not allowed: existing 1, new value 2", True, True),
        ("out of order sample; out of order sample", True, False),
        ("out of order sample; duplicate sample for timestamp 1767986535123", True, True),
        ("out of order sample out of order sample", True, False),
        ("out of order sample; out of order sam…", True, False),
        ("out of order sample (err-mimir-sample-out-of-order)", False, False),
        ("out of order sample. timestamp=2026-01-09T19:22:15Z, series=snmp_up", False, False),
        ("user=1: err: out of order sample", False, False),
    ],
)
def test_prometheus_own_words_show_that_nothing_of_the_request_is_stored(said, whole, doubled):
    """Whichever version, remote write or OTLP: one that stores the rest of a request says it in others."""
    late = outcome_of(400, said)
    assert isinstance(late, TooLate)
    assert (late.is_prometheus, late.is_doubled) == (whole, doubled)


@pytest.mark.parametrize(
    "away",
    [
        "backing off forward request for endpoint b:10901: target not available",
        'forwarding request to endpoint b:10901: rpc error: code = Unavailable desc = connection error: "refused"',
        "forwarding request to endpoint b:10901: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
    ],
)
def test_what_one_thanos_of_several_has_is_not_too_late_for_another_one_that_is_away(away):
    """Taken for too late, the other one's series were dropped for as long as it was away."""
    for errors in (f"store locally for endpoint a:10901: conflict; {away}", f"{away}; store locally: out of order sample"):
        said = f"2 errors: {errors}"
        assert outcome_of(409, said) == Unavailable(f"status 409: {said}", 409, cut_off=True)


def test_bad_data_is_refused_also_with_a_500():
    assert outcome_of(400, "x") == Rejected(400, "x")
    assert outcome_of(422, "") == Rejected(422, "no reason given")
    said = 'label name "sensor" is not unique: invalid sample'
    assert outcome_of(500, said) == Rejected(500, said)


@pytest.mark.parametrize(
    ("status", "said"), [(400, "conflict"), (422, "type: conflict"), (409, "a conflicting label"), (409, "type conflict")]
)
def test_another_conflict_is_a_refusal(status, said):
    assert outcome_of(status, said) == Rejected(status, said)


def test_what_is_ahead_of_the_receivers_time_is_not_too_late():
    """If it were, all before it would be: a receiver without a Date in its answers does not show that our clock is wrong."""
    said = "out of bounds: timestamp is too far in the future"
    assert outcome_of(400, said) == Rejected(400, said)


@pytest.mark.parametrize(
    "said",
    [
        '{"error":{"type":"array_index_out_of_bounds_exception","reason":"Index 5 out of bounds for length 5"}}',
        "panicked: index out of bounds: the len is 5 but the index is 5",
    ],
)
def test_a_receivers_fault_with_an_index_is_not_about_the_time_of_a_sample(said):
    assert outcome_of(500, said) == Unavailable(f"status 500: {said}", 500)


@pytest.mark.parametrize(
    "said",
    [
        "Client sent an HTTP request to an HTTPS server.",
        "<html> <head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
        "<!DOCTYPE HTML> Reason: You're speaking plain HTTP to an SSL-enabled server port.",
    ],
)
def test_a_port_that_expects_tls_is_the_operators_to_know(said):
    """Taken for a refusal it would cost values, and the doctor would call it an InfluxDB that accepts."""
    expected = Misconfigured(400, "it expects TLS (400): is the URL right? It begins with http://")
    assert KINDS["influxdb"].outcome_of(400, said.encode(), said, "", None) == expected


@pytest.mark.parametrize("status", [401, 403])
def test_a_web_page_that_refuses_is_shown(status):
    """It may be a firewall's: other credentials would not help then."""
    page = "<html><title>Request blocked by Acme</title>"
    outcome = KINDS["remote_write"].outcome_of(status, page.encode(), page, "", None)
    assert isinstance(outcome, Misconfigured)
    assert "does a login page or a proxy answer" in outcome.reason
    assert outcome.reason.endswith(page)


@pytest.mark.parametrize("before", ["", "no healthy upstream. " * 20])
def test_a_proxy_that_lost_the_receiver_s_answer_is_not_the_receiver(before):
    """Wherever its words are, in a text of which people are shown the beginning."""
    lost = f"{before}upstream connect error or disconnect/reset before headers. reset reason: connection termination"
    assert outcome_of(503, lost) == Unavailable(f"status 503: {lost}", 503, cut_off=True)
    assert outcome_of(503, before) == Unavailable(f"status 503: {before or 'an empty body'}", 503)


def test_a_failing_receiver_is_waited_for():
    assert outcome_of(500, "disk full") == Unavailable("status 500: disk full", 500)
    assert outcome_of(429, "", retry_after_s=7.0) == Unavailable("status 429: an empty body", 429, 7.0)
    assert outcome_of(503, "") == Unavailable("status 503: an empty body", 503)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (401, "credentials"),
        (403, "credentials"),
        (404, "nothing at this URL"),
        (405, "nothing at this URL"),
        (415, "of this kind of destination?"),
        (302, "redirected to https://b"),
    ],
)
def test_what_the_operator_has_to_correct_is_said(status, word):
    outcome = outcome_of(status, "", "https://b")
    assert isinstance(outcome, Misconfigured)
    assert (outcome.status, word in outcome.reason) == (status, True)


def test_the_next_step_is_said_in_these_words():
    where = "is the URL right, and does it accept remote write? Prometheus: --web.enable-remote-write-receiver"
    remote_write = KINDS["remote_write"]
    assert remote_write.outcome_of(404, b"", "", "", None) == Misconfigured(404, f"no remote write at this URL (404): {where}")
    assert outcome_of(399, "") == Misconfigured(399, "redirected to nowhere (399), not followed: is the URL right?")
    assert outcome_of(300, "") == Misconfigured(300, "redirected to nowhere (300), not followed: is the URL right?")


def test_the_rest():
    assert outcome_of(200, "") == Accepted(200)
    assert outcome_of(204, "") == Accepted(204)
    assert outcome_of(299, "") == Accepted(299)
    assert outcome_of(413, "") == TooLarge()


PAGE = "<!DOCTYPE html> <html><title>Sign in</title> This service is out of order, your browser is too old </html>"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("page", [PAGE, "<html>", '<?xml version="1.0"?>'])
@pytest.mark.parametrize("status", [200, 400, 409, 422])
def test_a_page_that_answers_in_place_of_the_receiver_neither_acknowledges_nor_refuses(kind, status, page):
    """A proxy, a login page, or a server that has the same page for whatever URL."""
    outcome = kind.outcome_of(status, page.encode(), page, "", 7.0)
    assert isinstance(outcome, Unavailable)
    assert (outcome.status, outcome.retry_after_s) == (status, 7.0)
    assert outcome.reason.startswith(f"status {status} with a web page: is the URL right")
    assert outcome.reason.endswith(page)
    assert kind.outcome_of(500, PAGE.encode(), PAGE, "", None) == Unavailable(f"status 500: {PAGE}", 500)


def test_a_warning_of_an_otlp_receiver_is_not_a_page_whatever_its_length():
    """The length of a message is an octet, and 60 is "<"."""
    answer = b"\x0a<\x12:" + b"w" * 58
    said = " ".join("".join(c if c.isprintable() else " " for c in answer.decode()).split())
    assert said.startswith("<")
    assert KINDS["otlp"].outcome_of(200, answer, said, "", None) == Accepted(200)


def test_nor_is_a_refusal_of_an_otlp_receiver():
    """A Status of its code and its message."""
    said = "<" + "i" * 60
    assert KINDS["otlp"].outcome_of(400, b"\x08\x03\x12" + said.encode(), said, "", None) == Rejected(400, said)


PARTLY = [
    ('{"error":"partial write: points beyond retention policy dropped=3"}', 3),
    ('partial write: field type conflict: input field "value" on measurement "sensor" is type integer dropped=1', 1),
    ("partial write: unable to parse 'a b': invalid boolean unable to parse 'c': missing fields dropped=0", 2),
]


@pytest.mark.parametrize(("said", "refused"), PARTLY)
def test_influxdb_has_the_rest_of_a_request_of_which_it_refuses_some_lines(said, refused):
    assert outcome_of(400, said) == PartlyTaken(400, said, refused)
    assert outcome_of(422, said) == PartlyTaken(422, said, refused)


def test_a_line_that_influxdb_cant_read_by_itself_is_refused():
    assert outcome_of(400, "unable to parse 'x': missing fields") == Rejected(400, "unable to parse 'x': missing fields")
