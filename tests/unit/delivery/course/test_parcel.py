"""A batch made ready to be sent: the same octets each time, compressed if the server takes that."""

import gzip
import json
from dataclasses import replace

import pytest

from towerops_agent.api.wire.contract import SensorReading
from towerops_agent.buffer.format.batch import Batch, LeftOut, Position, StoredPoll
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.parcel import GZIP_LEVEL, pack
from towerops_agent.model import Layout, Poll

STARTED_US = 1_767_986_535_000_000
LAYOUT = Layout("eq", (("a", 1.0), ("b", 10.0)))
PLAIN, ZIPPED = Accepts(), Accepts(content_encodings=("gzip", "zstd"))
BATCH = Batch(1, "key", Position(7, 1), Position(9, 0), 3, STARTED_US)


def stored(number, started_at_us, first, stop):
    return StoredPoll(number, LAYOUT, Poll(1, started_at_us, (number, 5), ((2, 0),), 2), first, stop)


POLLS = [stored(7, STARTED_US + 1, 1, 2), stored(8, STARTED_US, 0, 2)]
VALUES = [0.5, 8, 0.5]


def test_a_body_has_the_metrics_of_the_batch():
    parcel = pack(BATCH, POLLS, PLAIN)
    assert [metric["value"] for metric in json.loads(parcel.body)["metrics"]] == VALUES
    assert (parcel.encoding, parcel.plain_octets, parcel.metrics) == (None, len(parcel.body), 3)
    assert parcel.oldest_us == STARTED_US
    assert parcel.batch == BATCH


def test_a_compressed_body_is_the_same_each_time():
    parcel = pack(BATCH, POLLS, ZIPPED)
    plain = pack(BATCH, POLLS, PLAIN)
    assert parcel.body == gzip.compress(plain.body, GZIP_LEVEL, mtime=0)
    assert (parcel.encoding, parcel.plain_octets, parcel.metrics) == ("gzip", len(plain.body), 3)
    assert "gzip" not in PLAIN.content_encodings


@pytest.mark.parametrize("listed", [(), ("equipment_status",), ("sensor_reading", "interface_stat")])
def test_readings_are_sent_to_a_server_that_lists_other_types_only(listed):
    """As they are without destinations: left out, they would count as delivered."""
    parcel = pack(BATCH, POLLS, Accepts(metric_types=listed, is_stated=True), for_others=True)
    assert parcel.body == pack(BATCH, POLLS, PLAIN).body


def test_what_was_damaged_is_not_counted():
    parcel = pack(BATCH, POLLS[1:], PLAIN)
    assert parcel.batch == replace(BATCH, metric_count=2)
    assert parcel.metrics == 2


def test_it_is_named_by_its_first_and_last_poll():
    assert pack(BATCH, POLLS, PLAIN).label == "7-8"


@pytest.mark.parametrize("accepts", [PLAIN, ZIPPED])
def test_the_one_metric_of_a_batch_of_one(accepts):
    metric = json.loads(pack(BATCH, POLLS[:1], accepts).metric)
    assert metric["sensor_id"] == "b"
    assert metric["value"] == 0.5


EXCLUDED = {"sensor_reading b": "no such sensor"}


@pytest.mark.parametrize("accepts", [PLAIN, ZIPPED])
def test_what_is_excluded_is_left_out_with_its_place_its_device_and_the_reason(accepts):
    parcel = pack(BATCH, POLLS, accepts, EXCLUDED)
    time = "2026-01-09T19:22:15.000001Z", "2026-01-09T19:22:15.000000Z"
    metric = [
        b'{"type":"sensor_reading","sensor_id":"b","value":0.5,"status":"ok","timestamp":"%s"}' % at.encode() for at in time
    ]
    assert parcel.left_out == (
        LeftOut(7, 1, "eq", metric[0], "no such sensor"),
        LeftOut(8, 1, "eq", metric[1], "no such sensor"),
    )
    assert (parcel.metrics, parcel.batch.metric_count) == (1, 3)
    assert json.loads(parcel.metric)["value"] == 8
    assert parcel.single == SensorReading(sensor_id="a", value=8, timestamp=time[1])


def test_what_is_excluded_and_not_in_the_batch_changes_nothing():
    for excluded in ({"sensor_reading other": "no"}, {"interface_stat b": "no"}, {}):
        assert pack(BATCH, POLLS, PLAIN, excluded) == pack(BATCH, POLLS, PLAIN)
    assert pack(BATCH, POLLS, PLAIN).left_out == ()
    assert pack(BATCH, POLLS, PLAIN).single is None


def test_a_batch_of_which_all_is_left_out_has_no_metric():
    parcel = pack(BATCH, POLLS[:1], PLAIN, EXCLUDED)
    assert (parcel.metrics, parcel.single, len(parcel.left_out)) == (0, None, 1)


def test_the_part_of_a_poll_that_another_batch_has_is_not_left_out_of_this_one():
    parcel = pack(BATCH, [stored(8, STARTED_US, 0, 1)], PLAIN, EXCLUDED)
    assert (parcel.metrics, parcel.left_out) == (1, ())
    both = EXCLUDED | {"sensor_reading a": "no such sensor"}
    parcel = pack(BATCH, [stored(7, STARTED_US, 1, 2)], PLAIN, both)
    assert [(one.poll, one.metric_index) for one in parcel.left_out] == [(7, 1)]
