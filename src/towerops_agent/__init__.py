"""The Towerops agent: polls SNMP devices, keeps the readings through outages, submits them to the Towerops API."""

__version__ = "0.1.0"
