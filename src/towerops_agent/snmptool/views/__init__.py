"""What a device answered, as text or JSON. Pure."""
