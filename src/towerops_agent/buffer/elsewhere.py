"""Batches that are delivered while their rows are in another database than the one in use.

The courier still has some under way when the file is left for memory, or is replaced because it is corrupt. Whoever gets at the
rows later marks them sent: opening.py in the file that is in use again, salvage.py in what it copies of a corrupt one.
Synchronous, for the writer's thread. Seconds on the age clock (`_s`).
"""


class Elsewhere:
    """`sent`: the ids of these batches, each with the age at which it was delivered."""

    def __init__(self) -> None:
        self.sent: dict[int, int] = {}

    def note(self, batch_id: int, age_s: int) -> bool:
        """Note that the batch was delivered. False: that is known already."""
        if batch_id in self.sent:
            return False
        self.sent[batch_id] = age_s
        return True
