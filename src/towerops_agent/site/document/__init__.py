"""Site files as text: what they say, and the place of each mistake. Pure."""
