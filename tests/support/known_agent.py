"""`towerops-agent run --once` that polls each device so often that it knows it: several requests are under way then.

A program of its own: `python known_agent.py run --once`. All polls are delivered. It fails if fewer devices than
KNOWN_AT_LEAST, of the environment, have several requests under way in the last one. As patient as patient_agent.py.
"""

import os

from support.patient_agent import be_patient
from towerops_agent.cli.main import main
from towerops_agent.polling.course.traits import CLEAN_POLLS
from towerops_agent.polling.reading import PollResult
from towerops_agent.scheduling.fleet import Fleet

POLLS = CLEAN_POLLS + 3

poll_all_once = Fleet.poll_all_once


async def poll_all_often(fleet: Fleet) -> dict[str, PollResult]:
    for _ in range(POLLS - 1):
        await poll_all_once(fleet)
    known = sum(device.traits.together > 1 for device in fleet.devices.values())
    assert known >= int(os.environ["KNOWN_AT_LEAST"])
    return await poll_all_once(fleet)


if __name__ == "__main__":
    be_patient()
    Fleet.poll_all_once = poll_all_often
    main()
