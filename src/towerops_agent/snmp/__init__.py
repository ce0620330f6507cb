"""SNMP: the protocol. It knows no equipment and no metric, and could be a separate package."""
