"""Python's cyclic garbage collector, kept from what stays.

agent.py uses it. The devices of a configuration are objects that live until it changes, some million of them where there are
10,000 devices: each full collection would look at all of them, for 0.1 s, while polls wait. And while they are made, each few
hundred of them would start a collection. They hold no cycles: reference counts free them when they are replaced.
Process-wide. Source: the gc module's documentation (gc.freeze).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 1
"""The generation up to which the block's own garbage is looked for: what is new is there, and nothing else."""


@contextmanager
def left_alone() -> Iterator[None]:
    """No collection within the block; what exists at its end is left out of all later ones."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect(YOUNG)
        gc.freeze()
