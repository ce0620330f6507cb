"""Simulated SNMP devices, for tests and the demo. The agent never imports it."""
