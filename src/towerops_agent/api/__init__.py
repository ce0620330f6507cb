"""The Towerops API: its wire types, and its client."""
