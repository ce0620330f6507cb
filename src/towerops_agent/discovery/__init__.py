"""From an address to a device's configuration, without knowing one OID of it. course/ decides, library.py has the profiles."""
