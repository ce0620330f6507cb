"""Echo messages as octets, and which of them come back. Pure."""
