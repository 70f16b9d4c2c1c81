"""Training jobs on the nodes of a Ray cluster."""
