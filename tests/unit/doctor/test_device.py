"""What the doctor says of devices that answer, answer in part, or not at all: each told apart by experiment."""

import asyncio
import socket

from support.site import COMMUNITY, simulated_device
from towerops_agent.counters import Counters
from towerops_agent.doctor import device as module
from towerops_agent.doctor.device import Waits, check_device, check_devices
from towerops_agent.doctor.findings.check import Result
from towerops_agent.doctor.findings.fetch import Configured
from towerops_agent.model import Credentials, Equipment, Interface, Secret, Sensor, SnmpVersion
from towerops_agent.polling.course.plan import IF_DESCR, IF_NAME, interface_columns
from towerops_agent.polling.course.traits import WIDE
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.message import ErrorStatus, Message
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

STEADY = Waits((0.1, 0.2), reading_s=(0.1, 0.2))  # for a device that answers some requests, and not others
PATIENT = Waits((5.0,), reading_s=(5.0,))
BASE = "1.3.6.1.4.1.99999.1"
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"


def equipment(port, sensors=5, interfaces=(1, 2), version="2c", community=COMMUNITY, **more):
    return Equipment(
        more.pop("id", "eq-1"),
        more.pop("name", "North Tower"),
        "127.0.0.1",
        port,
        credentials=Credentials(SnmpVersion(version), Secret(community)),
        sensors=tuple(Sensor(f"s{i}", parse_oid(f"{BASE}.{i}.0")) for i in range(sensors)),
        interfaces=tuple(Interface(f"i{n}", n, f"eth{n}") for n in interfaces),
        **more,
    )


def many(count=40, community=COMMUNITY, **more):
    """A device with so many gauges, and the time."""
    values = {parse_oid(f"{BASE}.{i}.0"): (ber.GAUGE32, i) for i in range(count)}
    return SimulatedDevice({parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7), **values}, community.encode(), **more)


async def examined(device, waits=PATIENT, **wanted):
    """The check of a device that is served; `wanted`: how it is configured."""
    async with serve(device) as port, SnmpClient(Counters()) as client:
        return await check_device(client, equipment(port, **wanted), waits)


async def test_a_good_device_is_reported_with_its_address_and_round_trip():
    async with serve(simulated_device()) as port, SnmpClient(Counters()) as client:
        check = await check_device(client, equipment(port), PATIENT)
    assert (check.name, check.result, check.hint) == ("North Tower", Result.OK, "")
    assert check.found.startswith(f"127.0.0.1:{port} answers in ")
    assert check.found.endswith(" ms over SNMPv2c; all 7 can be read")


async def test_a_device_with_nothing_to_read_is_a_warning():
    check = await examined(simulated_device(), sensors=0, interfaces=())
    assert check.result is Result.WARNING
    assert "no readings are configured" in check.found
    assert "add sensors or interfaces" in check.hint


async def test_sensors_that_do_not_exist_are_named():
    check = await examined(simulated_device(), sensors=7)
    assert check.result is Result.WARNING
    assert f"7 of 9 can be read; not there (noSuchObject): sensor s5 ({BASE}.5.0), sensor s6 ({BASE}.6.0)" in check.found
    assert "do not exist on this device" in check.hint


async def test_an_interface_that_does_not_exist_is_named():
    check = await examined(simulated_device(), interfaces=(1, 9))
    assert check.result is Result.WARNING
    assert "6 of 7 can be read; not there (noSuchInstance): interface 9 (eth9)" in check.found


async def test_what_is_missing_over_snmpv1_is_named_too():
    """Where the refused OID takes the whole answer with it."""
    check = await examined(many(5), version="1", sensors=6, interfaces=())
    assert check.result is Result.WARNING
    assert "over SNMPv1; 5 of 6 can be read; not there (noSuchName): sensor s5" in check.found


async def test_a_text_is_not_a_reading():
    values = {parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7), parse_oid(f"{BASE}.0.0"): (ber.OCTET_STRING, b"hello")}
    check = await examined(SimulatedDevice(values, COMMUNITY.encode()), sensors=1, interfaces=())
    assert check.result is Result.FAILED
    assert "not a number: sensor s0" in check.found
    assert "a reading is a number" in check.hint


async def test_a_view_that_hides_all_is_distinguished_from_another_model():
    """Both lack all that is configured: behind the system group the one shows nothing, the other its own."""
    narrow = SimulatedDevice({parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7)}, COMMUNITY.encode())
    check = await examined(narrow)
    assert check.result is Result.FAILED
    assert (
        "lacks all 7 configured sensors and interfaces, and all else outside the system group: a view hides them" in check.found
    )
    other = {parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7), parse_oid("1.3.6.1.4.1.5.1.0"): (ber.INTEGER, 1)}
    check = await examined(SimulatedDevice(other, COMMUNITY.encode()))
    assert check.result is Result.FAILED
    assert "but has others, such as 1.3.6.1.4.1.5.1.0" in check.found
    assert "another model" in check.hint


async def test_a_device_that_lets_nobody_look_is_reported():
    def refuse(datagram, _):
        message = decode_message(datagram)
        refusal = response(message.pdu, [], b"", [], ErrorStatus.authorizationError)
        return encode_message(Message(message.version, message.community, refusal))

    check = await examined(refuse)
    assert check.result is Result.FAILED
    assert "authorizationError: it has no view" in check.found


# Sizes


async def test_a_device_that_says_too_big_is_healthy():
    """The agent asks it for less; there is nothing for the operator to do."""
    check = await examined(many(max_octets=200), sensors=40, interfaces=())
    assert (check.result, check.hint) == (Result.OK, "")
    assert "all 40 can be read" in check.found


async def test_silence_only_to_large_requests_is_reported():
    """As where large packets are lost on the way: small ones are answered, and all is read in the end."""
    device = many()

    def small_alone(datagram, uptime_s):
        octets = device.answer(datagram, uptime_s)
        return octets if octets is not None and len(octets) <= 250 else None

    check = await examined(small_alone, STEADY, sensors=40, interfaces=())
    assert check.result is Result.WARNING
    assert "all 40 can be read; answers small requests, but not one of " in check.found
    assert "MTU" in check.hint


async def test_an_oid_that_is_met_with_silence_is_not_taken_for_size():
    """The same number of others is answered."""
    device = many()
    blocking = {parse_oid(f"{BASE}.7.0"), parse_oid(f"{BASE}.7")}  # by GET, and by GETNEXT

    def answer(datagram, uptime_s):
        return None if blocking & set(decode_message(datagram).pdu.names) else device.answer(datagram, uptime_s)

    check = await examined(answer, STEADY, sensors=40, interfaces=())
    assert check.result is Result.WARNING
    assert f"39 of 40 can be read; met with silence: sensor s7 ({BASE}.7.0)" in check.found
    assert "small requests" not in check.found


async def test_a_device_that_takes_too_long_is_given_up():
    check = await examined(many(), Waits((5.0,), all_s=0.0, reading_s=(5.0,)), sensors=1)
    assert check.result is Result.FAILED
    assert "was not fully examined within 0 s" in check.found


async def test_what_there_is_no_time_for_is_reported():
    """A request that is never answered takes longer than there is time for all."""
    device = many()

    def answer(datagram, uptime_s):
        silent = parse_oid(f"{BASE}.30.0") in decode_message(datagram).pdu.names
        return None if silent else device.answer(datagram, uptime_s)

    check = await examined(answer, Waits((5.0,), read_s=1.0, reading_s=(2.0,)), sensors=40, interfaces=())
    assert check.result is Result.WARNING
    assert "not asked for lack of time: sensor s23" in check.found


async def test_many_devices_are_checked_at_once_within_bounds_and_reported_in_order(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 3)
    running, most, done = 0, 0, []
    original = module.check_device

    async def counted(*args):
        nonlocal running, most
        running += 1
        most = max(most, running)
        check = await original(*args)
        running -= 1
        return check

    monkeypatch.setattr(module, "check_device", counted)
    async with serve(simulated_device()) as port, SnmpClient(Counters()) as client:
        devices = (equipment(port, id=f"d{i}", name=f"d{i}") for i in range(10))
        checks = await check_devices(client, Configured([], devices=lambda: devices), PATIENT, lambda: done.append(1))
    assert [check.name for check in checks] == [f"d{i}" for i in range(10)]
    assert {check.result for check in checks} == {Result.OK}
    assert most == 3
    assert len(done) == 10


# As the agent reads it


async def test_a_device_that_answers_from_another_address_is_read_as_the_agent_reads_it():
    device = many(5)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.2", 0))
        elsewhere.setblocking(False)

        class Crossed(asyncio.DatagramProtocol):
            def datagram_received(self, datagram, peer):
                octets = device.answer(datagram, 1.0)
                if octets is not None:
                    elsewhere.sendto(octets, peer)

        transport, _ = await loop.create_datagram_endpoint(Crossed, local_addr=("127.0.0.1", 0))
        try:
            async with SnmpClient(Counters()) as client:
                wanted = equipment(transport.get_extra_info("sockname")[1], interfaces=())
                check = await check_device(client, wanted, Waits((5.0,), reading_s=(0.1,) * 20))
        finally:
            transport.close()
    assert (check.result, check.hint) == (Result.OK, "")
    assert check.found.endswith("over SNMPv2c, from another address (127.0.0.2); all 5 can be read")


def with_interfaces(**names):
    """A device with an interface of each ifIndex (`i3="eth1"`) and name, whose counters are all there."""
    values = {parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7)}
    for i, name in names.items():
        if_index = int(i[1:])
        values[parse_oid(f"1.3.6.1.2.1.31.1.1.1.1.{if_index}")] = (ber.OCTET_STRING, name.encode())
        for column in interface_columns(if_index, WIDE, WIDE):
            values[column] = (ber.COUNTER64, 1)
    return SimulatedDevice(values, COMMUNITY.encode())


async def test_interfaces_that_have_moved_are_read_at_their_place_and_named():
    check = await examined(with_interfaces(i5="eth1", i6="eth2"), sensors=0, interfaces=(1, 2))
    assert (check.result, check.hint) == (Result.OK, "")
    assert "has moved interfaces: eth1 at 5 instead of 1, eth2 at 6 instead of 2; all 2 can be read" in check.found


async def test_interfaces_whose_names_are_not_given_are_not_said_to_be_read():
    """The agent withholds their counters; so the doctor is not content with them."""
    device = with_interfaces(i1="eth1", i2="eth2")

    def without_names(datagram, uptime_s):
        names = decode_message(datagram).pdu.names
        if any(name.startswith((IF_NAME, IF_DESCR)) for name in names):
            return None
        return device.answer(datagram, uptime_s)

    check = await examined(without_names, STEADY, sensors=0, interfaces=(1, 2))
    assert check.result is Result.FAILED
    assert "0 of 2 can be read; it is not known which interface this is" in check.found


async def test_a_label_of_the_operators_own_is_told_apart_from_an_interface_that_is_gone():
    """What the device has at that index is in the doctor's words, and what to do; the other interface can be read."""
    values = {parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7)}
    for index, name in ((1, b"eth1"), (2, b"sfp-sfpplus1")):
        values |= {child(IF_NAME, index): (ber.OCTET_STRING, name), child(IF_DESCR, index): (ber.OCTET_STRING, name)}
        values |= dict.fromkeys(interface_columns(index, WIDE, WIDE), (ber.COUNTER64, 7))
    check = await examined(SimulatedDevice(values, COMMUNITY.encode()), sensors=0)
    assert check.result is Result.WARNING
    assert "has other interfaces at their indexes: 2 is sfp-sfpplus1, not eth2" in check.found
    assert "1 of 2 can be read; the device has no interface of this name: interface 2 (eth2)" in check.found
    assert "write the device's name in its place" in check.hint


async def test_a_device_whose_answers_are_discarded_is_not_called_silent():
    """It answers with request-ids of its own."""

    def answers(datagram, _uptime_s):
        message = decode_message(datagram)
        reply = response(message.pdu, list(message.pdu.names), bytes([ber.TIME_TICKS]), [7])
        reply.request_id ^= 0x01234567
        return encode_message(Message(message.version, message.community, reply))

    check = await examined(answers, STEADY)
    assert check.result is Result.FAILED
    assert "its answers are discarded as unknown_id: a request-id that was never used" in check.found


async def test_a_text_in_another_unit_than_the_agent_first_read_is_missing_for_the_doctor_too():
    values = {parse_oid(SYS_UP_TIME): (ber.TIME_TICKS, 7), parse_oid(f"{BASE}.0.0"): (ber.OCTET_STRING, b"12.1 A")}
    async with serve(SimulatedDevice(values, COMMUNITY.encode())) as port, SnmpClient(Counters()) as client:
        device = equipment(port, sensors=1, interfaces=())
        (fresh,) = await check_devices(client, Configured([], devices=lambda: [device]), PATIENT)
        (known,) = await check_devices(client, Configured([], devices=lambda: [device], units={device.id: ("V",)}), PATIENT)
    assert fresh.result is Result.OK
    assert known.result is Result.FAILED
    assert "in another unit than its first text" in known.found
