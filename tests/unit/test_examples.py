"""Each site in examples/ is one that the agent reads without a mistake, and without a secret in the file."""

import pytest

from support.markdown import ROOT
from towerops_agent.config.document.equipment import read_config
from towerops_agent.model import SnmpVersion
from towerops_agent.site.files import SiteFiles

EXAMPLES = ROOT / "examples"
SECRETS = {
    "RADIO_COMMUNITY": "radios-5b1f",
    "SWITCH_COMMUNITY": "switches-5b1f",
    "CORE_AUTH_PASSWORD": "core-auth-5b1f",
    "CORE_PRIV_PASSWORD": "core-priv-5b1f",
}


@pytest.mark.parametrize(
    ("name", "files", "counts"),
    [("one-radio.yaml", 1, (1, 1, 1)), ("tower.yaml", 1, (4, 9, 7)), ("county", 5, (200, 0, 480))],
)
def test_an_example_is_read_without_a_mistake(name, files, counts):
    path = EXAMPLES / name
    compiled = SiteFiles(path, SECRETS).read()
    assert (compiled.problems, compiled.warnings) == ([], [])
    assert (compiled.devices, compiled.sensors, compiled.interfaces) == counts
    assert len(list(path.glob("*.yaml")) if path.is_dir() else [path]) == files
    assert compiled.config is not None
    read = read_config(compiled.config)
    assert len(list(read.equipment)) == counts[0]
    assert read.refusals == []


def test_each_file_of_the_examples_is_tested():
    assert {path.name for path in EXAMPLES.iterdir()} == {"README.md", "one-radio.yaml", "tower.yaml", "county"}


def test_the_tower_has_its_router_over_snmpv3_and_radios_that_share_their_sensors():
    compiled = SiteFiles(EXAMPLES / "tower.yaml", SECRETS).read()
    assert compiled.config is not None
    router, east, west, rectifier = [equipment for _, equipment in read_config(compiled.config).equipment]
    assert router.credentials.version is SnmpVersion.V3
    assert [sensor.oid for sensor in east.sensors] == [sensor.oid for sensor in west.sensors]
    assert {sensor.id for sensor in east.sensors}.isdisjoint(sensor.id for sensor in west.sensors)
    assert (rectifier.interval_s, rectifier.port, east.interval_s) == (300, 1161, 60)


def test_a_secret_that_is_not_set_is_said_with_its_place():
    problems = SiteFiles(EXAMPLES / "tower.yaml", {}).read().problems
    assert str(problems[0]) == (
        f"{EXAMPLES / 'tower.yaml'}:4:40: the variable RADIO_COMMUNITY is not set, or empty: expected the secret in it"
    )
