"""The Towerops API: its wire types, its client, and the configuration that comes from it."""
