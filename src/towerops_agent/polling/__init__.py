"""From a device's configuration to its readings: what to ask, what the answers mean."""
