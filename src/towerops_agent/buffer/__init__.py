"""Polls on disk until they are delivered: SQLite, one writer thread, one row per poll."""
