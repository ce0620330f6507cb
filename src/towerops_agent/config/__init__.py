"""The configuration: fetched, cut, read, sealed, applied."""
