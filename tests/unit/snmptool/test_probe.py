"""What a probe finds out of simulated devices, and how it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import virtual_time
from towerops_agent.model import Credentials, Secret, SnmpVersion
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import PduType, Version
from towerops_agent.snmptool.probe import most_accepted, probe
from towerops_agent.snmptool.target import Place, target_at
from towerops_agent.snmptool.tool import AskFailed
from towerops_agent.snmptool.views.probe_report import Bulk, Limit, report_text
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

PATIENT = (5.0,)
"""For devices that answer."""

BRIEF = (0.5,)
"""For devices that are silent to what is asked first."""


def device(interfaces=3, wide=True, **options) -> SimulatedDevice:
    rows = {
        "1.3.6.1.2.1.1.1.0": (ber.OCTET_STRING, b"RouterOS\r\n  RB5009"),
        "1.3.6.1.2.1.1.2.0": (ber.OBJECT_IDENTIFIER, parse_oid("1.3.6.1.4.1.14988.1")),
        "1.3.6.1.2.1.1.3.0": (ber.TIME_TICKS, 8_640_123),
        "1.3.6.1.2.1.1.5.0": (ber.OCTET_STRING, b"north\xff"),
        "1.3.6.1.2.1.2.1.0": (ber.INTEGER, interfaces),
    }
    for index in range(1, interfaces + 1):
        rows[f"1.3.6.1.2.1.2.2.1.1.{index}"] = (ber.INTEGER, index)
        rows[f"1.3.6.1.2.1.2.2.1.2.{index}"] = (ber.OCTET_STRING, b"ether")
        if wide:
            rows[f"1.3.6.1.2.1.31.1.1.1.6.{index}"] = (ber.COUNTER64, 2**40)
    return SimulatedDevice({parse_oid(name): value for name, value in rows.items()}, **options)


async def probed(answers, version=SnmpVersion.V2C, *, pinned=False, timeouts_s=PATIENT):
    async with serve(answers) as port:
        target = target_at(Place("127.0.0.1", port), Credentials(version, Secret("public")), None)
        return await probe(target, timeouts_s, pinned=pinned)


@given(bears=st.integers(0, 80), most=st.integers(1, 64))
def test_the_most_that_is_accepted_is_found(bears, most):
    """Whatever the limit, exactly; and with few tries."""
    tried = []

    async def refusal(count):
        tried.append(count)
        return "" if count <= bears else "tooBig"

    limit = virtual_time.run(most_accepted(refusal, most))
    assert limit == (Limit(most) if bears >= most else Limit(bears, bears + 1, "tooBig"))
    assert len(tried) == len(set(tried)) <= 14
    assert max(tried) <= most


def test_the_search_ends_where_the_device_is_gone():
    async def refusal(count):
        return "gone" if count >= 16 else ""

    assert virtual_time.run(most_accepted(refusal)) == Limit(8, 16, "gone")


async def test_a_device_is_found_out():
    report = await probed(device())
    assert report.versions == {"2c": "answers", "1": "answers"}
    assert report.system == {
        "sysDescr": "RouterOS RB5009",
        "sysObjectID": ".1.3.6.1.4.1.14988.1",
        "sysName": "Hex-STRING: 6E 6F 72 74 68 FF",
        "sysUpTime": "1 day, 0:00:01.23",
    }
    assert len(report.rtts_s) == report.rtt_asks == 5
    assert report.get == Limit(64)
    assert report.bulk[0] == Bulk(10, 10)
    assert (report.if_number, report.interfaces, report.wide_counters) == (3, 3, 3)
    assert report.largest_answer_octets > 700


async def test_too_big_an_answer_is_distinguished_from_silence():
    """A device of small answers says tooBig; one of small requests says nothing at all. Both bear less than 64."""
    small = await probed(device(max_octets=484))
    assert small.get is not None
    assert small.get.reason == "tooBig"
    assert 10 < small.get.accepted < 64
    assert small.largest_answer_octets <= 484

    whole = device()

    def deaf_to_much(datagram, uptime_s):
        pdu = decode_message(datagram).pdu
        return None if pdu.type == PduType.GET and len(pdu.names) > 5 else whole.answer(datagram, uptime_s)

    assert (await probed(deaf_to_much)).get == Limit(5, 6, "silence")


async def test_a_device_without_v2c_is_measured_over_v1():
    """It is said that v2c met silence; there is no GETBULK and no 64-bit counter to ask for."""
    whole = device(interfaces=1)

    def only_v1(datagram, uptime_s):
        return whole.answer(datagram, uptime_s) if decode_message(datagram).version == Version.V1 else None

    report = await probed(only_v1, timeouts_s=BRIEF)
    assert report.versions == {"2c": "is silent", "1": "answers"}
    assert (report.version, report.bulk, report.interfaces, report.wide_counters) == ("1", [], 1, None)
    assert "none: SNMPv1 has no Counter64" in report_text(report)


async def test_a_version_that_is_given_is_the_only_one_tried():
    assert (await probed(device(), SnmpVersion.V1, pinned=True)).versions == {"1": "answers"}


async def test_a_device_without_interfaces_or_wide_counters():
    """What is not there is counted as none, not as unknown; only sysUpTime is asked over and over."""
    report = await probed(device(interfaces=0, wide=False))
    assert (report.if_number, report.interfaces, report.wide_counters) == (0, 0, 0)
    assert report.get == Limit(64)
    assert "none: no ifHCInOctets" in report_text(report)


async def test_a_silent_device_fails_with_what_to_look_at():
    with pytest.raises(AskFailed, match=r"no answer from 127\.0\.0\.1:[0-9]+ over SNMPv2c .*check the address"):
        await probed(lambda *_: None, timeouts_s=BRIEF)


async def test_an_answer_of_another_version_is_reported_in_the_reason():
    """Datagrams that do not answer are a hint: here a device answers v1 whatever it is asked."""
    whole = device()

    def always_v1(datagram, uptime_s):
        answer = whole.answer(datagram, uptime_s)
        return None if answer is None else answer.replace(b"\x02\x01\x01\x04", b"\x02\x01\x00\x04", 1)

    with pytest.raises(AskFailed, match="other datagrams came: 1 wrong_version"):
        await probed(always_v1, pinned=True, timeouts_s=BRIEF)
