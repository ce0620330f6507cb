"""What a destination is sent, and what its answers mean. Pure."""
