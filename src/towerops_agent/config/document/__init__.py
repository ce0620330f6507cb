"""The configuration as a document, read one device at a time. Pure."""
