"""A switch does its thing when it changes, and undoes it."""

from towerops_agent.api.wire.contract import METRICS_PATH
from towerops_lab.sandbox.faults import Answer, Cut, Delay, Faults
from towerops_lab.sandbox.switches import Switch, api_switches


def test_a_switch_turns_only_when_it_changes():
    turns = []
    switch = Switch("s", "site", "S", "", turns.append)
    for on in (False, True, True, False):
        switch.set(on)
    assert turns == [True, False]


def test_a_push_button_can_be_pushed_again():
    turns = []
    switch = Switch("s", "site", "S", "", turns.append, momentary=True)
    switch.set(True)
    switch.set(True)
    assert (turns, switch.is_on) == ([True, True], False)


def test_the_api_s_switches_begin_and_end_their_faults():
    faults = Faults()
    for switch, kind in zip(api_switches(faults), (Cut, Delay, Answer), strict=True):
        for _ in range(2):
            switch.set(True)
            met = faults.meet(METRICS_PATH)
            assert met is not None
            assert isinstance(met[1], kind)
            switch.set(False)
            assert faults.meet(METRICS_PATH) is None
