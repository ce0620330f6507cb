"""The lab: simulated devices, a stand-in for the Towerops API, and the demo that shows the agent between them.

A package of its own (pyproject.toml beside this file), which adds its commands to `towerops-agent` by entry points. The agent
imports nothing of it, and the agent's wheel and image do without it.
"""
