"""`python -m towerops_agent` is the command `towerops-agent`."""

from towerops_agent.cli import main

main()
