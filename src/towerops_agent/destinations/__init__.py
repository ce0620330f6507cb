"""Where values go without the Towerops API, or beside it: today Prometheus remote write."""
