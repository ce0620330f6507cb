"""The agent's exceptions. Expected failures are values (see each module's outcomes); these are broken promises and bad input.

AgentError
├── SettingsError          a setting is missing or has a bad value; exit status 2
├── SnmpError
│   ├── InvalidOid         a text or octets that are not an object identifier (X.690 §8.19)
│   └── MalformedMessage   the peer's octets are not an SNMP message; carries the offset
├── EngineUnreachable      a server of the group's engine accepts no connection
├── InvalidConfig          the API's configuration is not a JSON object, or a part of it can't be used
└── BufferFailure          the database can't be opened or written
    ├── DatabaseBusy       another agent has it open
    └── DatabaseTooNew     a later version of the agent wrote it

What only one module raises is defined there, below one of these: SiteUnreadable, NotWritten, WalkEndedEarly and others.
"""

import errno


class AgentError(Exception):
    """Base of all exceptions that the agent raises on purpose. Its text is written for the operator and holds no secret."""


class SettingsError(AgentError):
    """A setting is missing or has a bad value. The text names it, the value got (never a secret) and the value wanted."""


class SnmpError(AgentError):
    """Base of the protocol's exceptions."""


class InvalidOid(SnmpError, ValueError):
    """A text or octets that are not an object identifier."""


class MalformedMessage(SnmpError, ValueError):
    """The octets are not an SNMP message: the peer's fault, never ours.

    `offset`: octets from the start of what was decoded to the first bad one.
    """

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what} at octet {offset}")
        self.what = what
        self.offset = offset


class EngineUnreachable(AgentError):
    """A server of the engine of a group of agents accepts no connection. The text says why."""


class InvalidConfig(AgentError):
    """The API's configuration, or one item of it, can't be used. The text names the field, the value got and the value wanted."""


class BufferFailure(AgentError):
    """The database can't be opened, read or written."""


class DatabaseBusy(BufferFailure):
    """Another agent has the database open."""


class DatabaseTooNew(BufferFailure):
    """A later version of the agent wrote the database's schema."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether this, or what it came of, says so: Python itself, the kernel, or a thread that could not be started."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_out_of_memory(one) for one in error.exceptions)
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
            return True
        error = error.__cause__ or error.__context__
    return False
