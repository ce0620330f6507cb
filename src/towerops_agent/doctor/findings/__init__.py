"""What the doctor makes of what was found, and its lines. Pure."""
