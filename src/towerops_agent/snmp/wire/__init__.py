"""The protocol as octets and decisions: messages, security, which datagram answers which request. Pure."""
