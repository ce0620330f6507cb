"""Where values go without the Towerops API, or beside it: Prometheus remote write, InfluxDB, OTLP."""
