"""The one limit of the tests' time: it ends a test that hangs, on however slow a machine, and decides nothing else."""

HANG_S = 300.0
"""Below the limit of a whole test (`timeout` in pyproject.toml): what was waited for is in the failure's message."""
