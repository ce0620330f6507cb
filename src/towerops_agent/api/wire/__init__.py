"""The API's wire: its messages, and what its answers mean. Pure."""
