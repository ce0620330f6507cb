"""A stand-in for the Towerops API, for tests and the demo. The agent never imports it."""
