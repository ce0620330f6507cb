"""What a running agent says of itself, as values and as text. Pure."""
