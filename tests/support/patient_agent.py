"""`towerops-agent`, with half a minute for each reply: on a loaded machine a device that answers is not taken for a silent one.

A program of its own: `python patient_agent.py run --once`.
"""

from towerops_agent.cli.main import main
from towerops_agent.polling.course import traits

TIMEOUT_S = 30.0


def be_patient() -> None:
    vars(traits).update(MINIMUM_TIMEOUT_S=TIMEOUT_S, FIRST_TIMEOUT_S=TIMEOUT_S, MAXIMUM_TIMEOUT_S=TIMEOUT_S)


if __name__ == "__main__":
    be_patient()
    main()
