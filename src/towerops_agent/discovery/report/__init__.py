"""What a sweep found, as text, as JSON, as a site file. Pure."""
