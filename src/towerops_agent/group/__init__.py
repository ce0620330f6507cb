"""Several agents that poll one configuration together: each a share of the devices, and all of a member's if it is lost."""
