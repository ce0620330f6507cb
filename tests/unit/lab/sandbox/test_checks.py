"""What a careless server would let pass is refused, with a reason."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.api.wire.contract import Accepts
from towerops_agent.zstd import Frames
from towerops_lab.sandbox.checks import MAX_INFLATION, Refused, decode_heartbeat, decode_metrics, decompress
from towerops_lab.sandbox.kinds import NAMES

STAMP = "2026-01-09T19:22:15.123456Z"
READING = {"type": "sensor_reading", "sensor_id": "s", "value": 41.5, "status": "ok", "timestamp": STAMP}
STAT = {
    "type": "interface_stat",
    "interface_id": "i",
    "if_in_octets": 2**64 - 1,
    "if_out_octets": 0,
    "if_in_errors": None,
    "if_out_errors": 0,
    "if_in_discards": 0,
    "if_out_discards": None,
    "timestamp": STAMP,
}
STATUS = {
    "type": "equipment_status",
    "equipment_id": "e",
    "state": "down",
    "reason": "timeout",
    "response_time_ms": None,
    "timestamp": STAMP,
}
PINGS = {
    "type": "reachability",
    "equipment_id": "e",
    "sent": 5,
    "received": 4,
    "rtt_min_ms": 1.5,
    "rtt_avg_ms": 2,
    "rtt_max_ms": 4.25,
    "jitter_ms": 0.5,
    "timestamp": STAMP,
}
NOW_US = 1_767_987_000_000_000
"""2026-01-09T19:30:00Z."""

ALL_TYPES = Accepts(metric_types=NAMES)
GZIP = Accepts(content_encodings=["gzip"])


def refused(*metrics: object, accepts: Accepts = ALL_TYPES) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        decode_metrics(json.dumps({"metrics": metrics}).encode(), accepts, NOW_US)
    return caught.value.status, caught.value.reason


def test_good_metrics_of_each_type_are_decoded():
    body = json.dumps({"metrics": [READING, STAT, STATUS, PINGS], "unknown": 1}).encode()
    assert len(decode_metrics(body, ALL_TYPES, NOW_US)) == 4
    assert decode_metrics(b'{"metrics": []}', Accepts(), NOW_US) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"metrics": [NaN]}', b'{"metrics": [{"type": "\xff"}]}', b'{"metrics": []}x']
)
def test_what_is_not_json_is_a_400(body):
    with pytest.raises(Refused, match="the body is not JSON") as caught:
        decode_metrics(body, Accepts(), NOW_US)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"metrics": null}', b'{"metrics": [1]}', b'{"metrics": [{"type": "x"}]}'])
def test_json_of_another_shape_is_a_422(body):
    with pytest.raises(Refused) as caught:
        decode_metrics(body, Accepts(), NOW_US)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (READING | {"value": "41"}, "Expected `int | float`, got `str` - at `$.metrics[1].value`"),
        (READING | {"value": None}, "Expected `int | float`, got `null` - at `$.metrics[1].value`"),
        (READING | {"status": "odd"}, "Invalid enum value 'odd' - at `$.metrics[1].status`"),
        (READING | {"sensor_id": ""}, "metrics[1]: the id is empty"),
        (STAT | {"if_in_errors": -1}, f"metrics[1]: if_in_errors is -1: expected null or 0 to {2**64 - 1}"),
        (STAT | {"if_in_octets": 2**64}, f"metrics[1]: if_in_octets is {2**64}: expected null or 0 to {2**64 - 1}"),
        (STAT | {"if_in_octets": 1.5}, "Expected `int | null`, got `float` - at `$.metrics[1].if_in_octets`"),
        (STAT | {"if_in_octets": True}, "Expected `int | null`, got `bool` - at `$.metrics[1].if_in_octets`"),
        (
            STAT | {"if_in_octets": None, "if_out_octets": None},
            "metrics[1]: if_in_octets and if_out_octets are null: expected no interface_stat at all",
        ),
        (STATUS | {"state": "odd"}, "Invalid enum value 'odd' - at `$.metrics[1].state`"),
        (STATUS | {"response_time_ms": -1}, "metrics[1]: response_time_ms is -1.0: expected 0 or more, or null"),
    ],
)
def test_a_bad_metric_is_a_422_that_names_it(metric, reason):
    assert refused(READING, metric) == (422, reason)


def test_a_value_that_is_not_finite_is_a_422():
    with pytest.raises(Refused, match="out of range") as caught:
        decode_metrics(json.dumps({"metrics": [READING]}).replace("41.5", "1e999").encode(), Accepts(), NOW_US)
    assert caught.value.status == 422


def test_a_missing_counter_is_a_422():
    metric = {name: value for name, value in STAT.items() if name != "if_in_errors"}
    assert refused(metric) == (422, "Object missing required field `if_in_errors` - at `$.metrics[0]`")


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "2026-01-09T19:22:15Z",
        "2026-01-09T19:22:15.123Z",
        "2026-01-09T19:22:15.123456",
        "2026-01-09T19:22:15.123456+00:00",
        "2026-01-09 19:22:15.123456Z",
        "2026-02-30T19:22:15.123456Z",
        "2026-01-09T24:22:15.123456Z",
        "2026-01-09T19:22:15.12345\u0666Z",
        STAMP + "\n",
    ],
)
def test_a_timestamp_in_another_form_is_a_422(stamp):
    assert refused(READING | {"timestamp": stamp}) == (
        422,
        f"metrics[0]: timestamp is {stamp!r}: expected UTC with microseconds, as 2026-01-09T19:22:15.123456Z",
    )


def test_a_type_that_was_not_asked_for_is_a_422():
    assert refused(STATUS, accepts=Accepts()) == (
        422,
        "metrics[0]: type is 'equipment_status': expected one of sensor_reading, interface_stat",
    )


def test_too_many_metrics_are_a_413():
    assert refused(READING, READING, accepts=Accepts(max_metrics=1)) == (413, "2 metrics: expected at most 1")


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_body_without_an_encoding_is_as_it_is(encoding):
    assert decompress(b"body", encoding, Accepts()) == b"body"


@given(st.binary())
def test_gzip_is_undone_if_it_was_offered(body):
    assert decompress(gzip.compress(body), "gzip", GZIP) == body


@pytest.mark.parametrize(("encoding", "accepts"), [("gzip", Accepts()), ("zstd", GZIP), ("gzip, gzip", GZIP)])
def test_an_encoding_that_was_not_offered_is_a_415(encoding, accepts):
    with pytest.raises(Refused, match="Content-Encoding is") as caught:
        decompress(gzip.compress(b"{}", mtime=0), encoding, accepts)
    assert caught.value.status == 415


@pytest.mark.parametrize("body", [b"", b"{}", gzip.compress(b"{}", mtime=0)[:-1], gzip.compress(b"{}", mtime=0) + b"x"])
def test_what_is_not_gzip_is_a_400(body):
    with pytest.raises(Refused, match="the body is not gzip") as caught:
        decompress(body, "gzip", GZIP)
    assert caught.value.status == 400


def test_a_body_that_inflates_without_measure_is_a_413():
    limits = Accepts(content_encodings=["gzip"], max_body_bytes=100)
    assert len(decompress(gzip.compress(b" " * 100 * MAX_INFLATION), "gzip", limits)) == 100 * MAX_INFLATION
    with pytest.raises(Refused, match="inflates to more than 2500 octets") as caught:
        decompress(gzip.compress(b" " * (100 * MAX_INFLATION + 1)), "gzip", limits)
    assert caught.value.status == 413


def test_a_heartbeat_is_held_to_its_form():
    good = {"version": "0.1.0", "hostname": "h", "uptime_seconds": 0}
    assert decode_heartbeat(json.dumps(good).encode()).hostname == "h"
    for bad in (good | {"uptime_seconds": -1}, good | {"uptime_seconds": 1.5}, good | {"hostname": None}, {}):
        with pytest.raises(Refused) as caught:
            decode_heartbeat(json.dumps(bad).encode())
        assert caught.value.status == 422


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"metrics":' + b"[" * 200_000, b'{"metrics": [], "x": ' + b"[" * 200_000])
def test_json_that_is_nested_without_measure_is_a_400(body):
    with pytest.raises(Refused) as caught:
        decode_metrics(body, Accepts(), NOW_US)
    assert caught.value.status == 400


def test_seven_point_nought_is_an_integer_as_json_has_it():
    body = json.dumps({"metrics": [STAT | {"if_in_errors": 7.0}]}).encode()
    (metric,) = decode_metrics(body, Accepts(), NOW_US)
    assert isinstance(metric.if_in_errors, int)
    assert metric.if_in_errors == 7


def test_a_value_beyond_64_bits_is_a_float():
    body = json.dumps({"metrics": [READING]}).replace("41.5", "1" + "0" * 30).encode()
    (metric,) = decode_metrics(body, Accepts(), NOW_US)
    assert (type(metric.value), metric.value) == (float, 1e30)


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_value_beyond_what_a_float_holds_is_a_422(digits):
    body = json.dumps({"metrics": [READING]}).replace("41.5", "1" + "0" * digits).encode()
    with pytest.raises(Refused) as caught:
        decode_metrics(body, Accepts(), NOW_US)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"received": 6}, "received is 6: expected 0 to 5"),
        ({"sent": 0, "received": 0}, f"sent is 0: expected 1 to {2**63 - 1}"),
        ({"received": 0}, "rtt_min_ms is 1.5 with 0 received: expected null if and only if that is 0"),
        ({"rtt_avg_ms": None}, "rtt_avg_ms is None with 4 received: expected null if and only if that is 0"),
        ({"rtt_avg_ms": 5}, "rtt_min_ms, rtt_avg_ms and rtt_max_ms are 1.5, 5.0 and 4.25: expected them in this order"),
        ({"jitter_ms": -1}, "jitter_ms is -1.0: expected 0 or more, or null"),
        ({"equipment_id": ""}, "the id is empty"),
    ],
)
def test_pings_that_can_t_be_so_are_refused(change, reason):
    assert refused(PINGS | change) == (422, f"metrics[0]: {reason}")


def test_pings_of_which_none_came_back_have_no_times():
    nothing = dict.fromkeys(("rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "jitter_ms"))
    body = json.dumps({"metrics": [PINGS | nothing | {"received": 0}]}).encode()
    assert len(decode_metrics(body, ALL_TYPES, NOW_US)) == 1


def test_a_reading_of_long_after_now_is_refused_with_the_reason():
    """A day: an agent whose clock is wrong by a few hours is still heard."""
    ahead = READING | {"timestamp": "2026-01-10T19:29:59.000000Z"}
    assert len(decode_metrics(json.dumps({"metrics": [ahead]}).encode(), ALL_TYPES, NOW_US)) == 1
    status, reason = refused(READING | {"timestamp": "2099-01-01T00:00:00.000000Z"})
    assert status == 422
    assert reason == (
        "metrics[0]: timestamp is '2099-01-01T00:00:00.000000Z', more than a day ahead: expected at most "
        "'2026-01-10T19:30:00.000000Z'; look at the agent's clock"
    )


ZSTD = Accepts(content_encodings=["zstd"])


@given(st.binary(max_size=2000))
def test_zstd_is_undone_if_it_is_accepted(body):
    frame = Frames(1).pack(body)
    assert decompress(frame, "zstd", ZSTD) == body
    with pytest.raises(Refused) as caught:
        decompress(frame, "zstd", GZIP)
    assert caught.value.status == 415


def test_what_is_not_a_whole_frame_of_zstd_is_a_400():
    frame = Frames(1).pack(b"a body, a body, a body, a body, a body")
    large = Frames(1).pack(bytes(MAX_INFLATION * ZSTD.max_body_bytes + 1))
    for body in (b"", b"body", frame[:-1], large):
        with pytest.raises(Refused, match="the body is not zstd") as caught:
            decompress(body, "zstd", ZSTD)
        assert caught.value.status == 400
