"""The command line: main.py, and a file a command."""
