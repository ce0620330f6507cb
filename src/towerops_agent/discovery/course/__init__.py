"""What to ask a device that nobody knows, and what to poll of it. Pure."""
