"""How the agent reports its own state: log, metrics, health, status."""
