"""ICMP echo: whether a device answers ping, and how well. Knows no equipment and no metric."""
