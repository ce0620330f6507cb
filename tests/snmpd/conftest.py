"""One snmpd for all tests here, that serves each type that it can."""

from collections.abc import Iterator

import pytest

from support.snmpd import Snmpd, run_snmpd

BASE = "1.3.6.1.4.1.8072.9999"
"""netSnmpExperimental, where the configuration puts values of our own."""

SCRIPT = f"""\
case "$2" in
.{BASE}.9.1.0) printf '%s\\n' "$2" counter64 18446744073709551615;;
.{BASE}.9.2.0) printf '%s\\n' "$2" ipaddress 10.0.19.254;;
.{BASE}.9.3.0) printf '%s\\n' "$2" gauge 4294967295;;
.{BASE}.9.4.0) printf '%s\\n' "$2" opaque "9f 78 04 41 48 00 00";;
.{BASE}.9.5.0) printf '%s\\n' "$2" string; head -c 3000 /dev/zero | tr '\\0' x; echo;;
esac
"""

CONFIG = f"""\
override {BASE}.1.0 octet_str "12.4 V"
override {BASE}.2.0 integer -61
override {BASE}.3.0 counter 4000000000
override {BASE}.4.0 uinteger 4294967295
override {BASE}.5.0 timeticks 4294967295
override {BASE}.6.0 object_id 1.3.6.1.4.1.8072.4294967295
override {BASE}.7.0 octet_str ""
override {BASE}.8.0 octet_str 0xff00807f
override {BASE}.10.0 integer -2147483648
override {BASE}.11.0 octet_str "N/A"
override {BASE}.12.0 null
"""


@pytest.fixture(scope="session")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    directory = tmp_path_factory.mktemp("snmpd")
    script = directory / "values.sh"
    script.write_text(SCRIPT)
    extra = CONFIG + f"pass .{BASE}.9 /bin/sh {script}\n"
    large = "".join(f'override {BASE}.20.{i}.0 octet_str "{"x" * 200}"\n' for i in range(1, 25))
    limit = "[snmp] sendMessageMaxSize 1472\n"
    with run_snmpd(directory, extra + large + limit) as running:
        yield running
