"""What follows from a receiver's answers. Pure."""
