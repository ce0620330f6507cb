"""The demo: a device, a stand-in for the API, the agent between them, and a table of what arrives."""
