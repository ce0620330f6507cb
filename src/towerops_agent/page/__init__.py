"""`towerops-agent page`: the site's last 24 hours in a browser, from the agent's database, in a process of its own."""
