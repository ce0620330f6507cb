"""What the file holds, as values and as octets. Pure."""
