"""The configuration: fetched, cut, read, sealed, put into force."""
