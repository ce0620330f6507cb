"""The protocol as octets and decisions: messages, security, which datagram is whose reply. Pure."""
