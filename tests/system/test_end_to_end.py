"""The whole way, each part real: net-snmp's snmpd, the agent as a process, HTTPS with a certificate that it verifies."""

from pathlib import Path

import trustme

from support.agent import TOKEN, environment, running
from support.snmpd import run_snmpd
from towerops_lab.sandbox.server import Sandbox

BASE = "1.3.6.1.4.1.8072.9999"
"""netSnmpExperimental: values of our own, of each type that a sensor may have."""

VALUES = f"""\
override {BASE}.1.0 octet_str "12.4 V"
override {BASE}.2.0 integer -61
override {BASE}.3.0 counter 4000000000
override {BASE}.4.0 uinteger 650
override {BASE}.5.0 timeticks 360000
override {BASE}.6.0 octet_str "-5.50E+01"
override {BASE}.7.0 octet_str "N/A"
"""

SENSORS = {  # id: (the last number of its OID, divisor, the value that must arrive)
    "volts": (1, 1, 12.4),
    "signal": (2, 1, -61),
    "counter": (3, 1000, 4_000_000),
    "gauge": (4, 10, 65),
    "hours": (5, 360_000, 1),
    "exponent": (6, 1, -55),
}
UNREADABLE = {"text": 7, "absent": 99}


def configuration(port: int) -> dict[str, object]:
    oids = {name: (number, divisor) for name, (number, divisor, _) in SENSORS.items()}
    oids |= {name: (number, 1) for name, number in UNREADABLE.items()}
    return {
        "version": "1",
        "equipment": [
            {
                "id": "snmpd",
                "ip_address": "localhost",
                "snmp": {"version": "v2c", "community": "public", "port": port},
                "sensors": [
                    {"id": name, "oid": f".{BASE}.{number}.0", "divisor": divisor} for name, (number, divisor) in oids.items()
                ],
                "interfaces": [{"id": "lo", "if_index": 1, "if_name": "lo"}, {"id": "none", "if_index": 4711}],
            }
        ],
    }


async def test_what_snmpget_reads_arrives_at_the_server(tmp_path: Path):
    """Each value as snmpget has it, divided; counters between two readings of snmpget; what can't be read is not made up."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    with run_snmpd(tmp_path / "snmpd", VALUES) as snmpd:
        sandbox = Sandbox(configuration(snmpd.port), TOKEN)
        async with sandbox.serve(tls=(chain, key)) as address:
            url = address.replace("127.0.0.1", "localhost")
            env = environment(url, tmp_path / "agent.db", TOWEROPS_CA_FILE=str(tmp_path / "ca.pem"))
            before = int(snmpd.get("1.3.6.1.2.1.31.1.1.1.6.1"))
            async with running("run", "--once", env=env) as agent:
                assert await agent.ended() == 0, agent.log
            after = int(snmpd.get("1.3.6.1.2.1.31.1.1.1.6.1"))
    store = sandbox.store
    for name, (number, divisor, value) in SENSORS.items():
        (reading,) = store.readings(name)
        assert reading.value == value, f"{name}, {BASE}.{number}.0 / {divisor}"
    assert [store.readings(name) for name in UNREADABLE] == [(), ()]
    (stat,) = store.stats("lo")
    assert before <= stat.if_in_octets <= after
    assert stat.if_in_errors == stat.if_out_errors == stat.if_in_discards == stat.if_out_discards == 0
    assert store.stats("none") == ()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path):
    """Without the CA file the agent says what is wrong with the certificate, and sends nothing."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.cert_chain_pems[0].bytes())
    key.write_bytes(certificate.private_key_pem.bytes())
    sandbox = Sandbox({}, TOKEN)
    async with sandbox.serve(tls=(chain, key)) as url, running("run", "--once", env=environment(url, tmp_path / "a.db")) as agent:
        assert await agent.ended() == 1
    assert "certificate" in agent.log
    assert sandbox.store.exchanges == []
