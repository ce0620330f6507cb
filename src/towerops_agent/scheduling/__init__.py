"""Which device is polled when, and how many at once."""
