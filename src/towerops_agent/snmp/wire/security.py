"""How messages to and from a device are secured: by a community, or by USM.

A union, not an interface: v1 and v2c have no counterpart of v3's reports, keys and engine time. Both have a
`version`, `encode` a request with an ID at a time, say whether they need keys, and refuse the other's messages. Pure.
"""

from towerops_agent.snmp.wire.message import Community
from towerops_agent.snmp.wire.usm import UsmSecurity

Security = Community | UsmSecurity
