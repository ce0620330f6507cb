"""`python -m towerops_agent` is the command `towerops-agent`."""

from towerops_agent.cli.main import main

if __name__ == "__main__":
    main()
