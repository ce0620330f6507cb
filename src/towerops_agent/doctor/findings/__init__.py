"""The doctor's judgements, and its lines. Pure."""
