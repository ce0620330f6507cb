"""The demo's tower answers on loopback, and its switches do what they say."""

import time
from ipaddress import ip_address

from towerops_lab.demo.tower import PORT, tower


async def test_each_device_has_an_address_of_its_own_on_loopback():
    async with tower() as site:
        addresses = [each["ip_address"] for each in site.equipment]
        assert all(ip_address(address).is_loopback for address in addresses)
        assert len({(each["ip_address"], each["snmp"]["port"]) for each in site.equipment}) == len(addresses) == 7


async def test_a_second_tower_finds_other_ports_and_says_so():
    async with tower(), tower() as second:
        assert len(second.elsewhere) == 7
        assert all(each["snmp"]["port"] != PORT for each in second.equipment)


async def test_the_switches_reach_their_devices():
    async with tower() as site:
        switches = {switch.id: switch for switch in site.switches()}
        radio = site.stations["backhaul"]
        switches["backhaul-off"].set(True)
        assert not radio.hears(time.time())
        switches["backhaul-off"].set(False)
        assert radio.hears(time.time())
        switches["backhaul-loss"].set(True)
        assert radio.loss == 0.3
        switches["backhaul-loss"].set(False)
        assert radio.loss == 0.0
        switches["backhaul-reboot"].set(True)
        assert not radio.hears(time.time())
        assert not switches["backhaul-reboot"].is_on
        switches["mains"].set(True)
        assert site.world.moment(time.time() + 1, 0.0).outage_s > 0
