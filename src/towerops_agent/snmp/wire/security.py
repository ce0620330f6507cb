"""How messages to and from a device are secured: by a community, or by USM.

A union, not an interface: what v3 needs (reports, keys, an engine's time) has no counterpart in v1 and v2c. Both tell their
`version`, `encode` a request with an ID at a time, say whether they want keys, and refuse the other's messages. Pure.
"""

from towerops_agent.snmp.wire.message import Community
from towerops_agent.snmp.wire.usm import UsmSecurity

Security = Community | UsmSecurity
