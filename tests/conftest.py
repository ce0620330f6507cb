"""What holds for all tests."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command sets up the log for its process; the tests share one."""
    yield
    structlog.reset_defaults()
