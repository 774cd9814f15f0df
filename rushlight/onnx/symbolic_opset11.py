"""Export rules: none, since nothing is exported."""
