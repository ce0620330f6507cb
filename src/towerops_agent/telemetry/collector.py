"""Keeps Python's cyclic garbage collector away from long-lived objects.

agent.py uses it. The objects of a configuration's devices live until it changes; 10,000 devices have about a million of them.
Each full collection would scan all of them, for 0.1 s, while polls wait; and while they are made, each few hundred of them would
start a collection. They have no reference cycles: reference counts free them when they are replaced.
Process-wide. Source: the gc module's documentation (gc.freeze).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 1
"""Up to this generation the block's own garbage is collected: it holds only new objects."""


@contextmanager
def left_alone() -> Iterator[None]:
    """No collection within the block. All later ones skip the objects that exist at its end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect(YOUNG)
        gc.freeze()
