"""A stand-in for the Towerops API, for tests and the demo (extra: sandbox). The agent never imports it."""
