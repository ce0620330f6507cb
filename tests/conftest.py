"""What holds for all tests."""

import os
import signal
from collections.abc import Generator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

from support import skips

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile(
    "mutants",
    settings.get_profile("patient"),
    max_examples=30,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # that a test fails is enough: the least example is not looked for
)
settings.load_profile("patient")  # a loaded machine is slow, and no reason to fail


# What tests connect to is on this machine: the proxy that it may need for others is not in the way.
for _name in [_name for _name in os.environ if _name.lower().endswith("_proxy")]:
    del os.environ[_name]


# As a shell's `&` and as nohup start a suite: processes of tests would ignore them too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command sets up the log for its process; the tests share one."""
    yield
    structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a test that is skipped without a permitted reason fails."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        objection = skips.objection(report.longrepr[2].removeprefix("Skipped: "), os.environ)
        if objection is not None:
            report.outcome, report.longrepr = "failed", objection
    return report
