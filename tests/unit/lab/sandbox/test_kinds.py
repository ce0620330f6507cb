"""Each kind of metric of the contract is in the table, and the numbers that databases hold stay."""

from typing import get_args

from towerops_agent.api.wire.contract import Metric
from towerops_lab.sandbox.kinds import KINDS, NAMES


def test_the_table_has_each_kind_of_the_contract_once():
    assert sorted(kind.struct.__name__ for kind in KINDS) == sorted(struct.__name__ for struct in get_args(Metric))
    for kind in KINDS:
        assert kind.name == kind.struct.__struct_config__.tag
        assert kind.subject in kind.struct.__struct_fields__


def test_a_number_that_was_given_is_given_for_good():
    assert NAMES[:4] == ["sensor_reading", "interface_stat", "equipment_status", "reachability"]
