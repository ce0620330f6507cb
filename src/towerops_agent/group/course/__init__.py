"""The pure decisions of a group: who is there, and who polls which device."""
