"""SNMP: the protocol. Knows no equipment and no metric; it could be a package of its own."""
