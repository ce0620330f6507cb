"""Site files: the operator's own YAML in place of the API's configuration."""
