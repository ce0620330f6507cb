"""The state of a running agent, as values and as text. Pure."""
