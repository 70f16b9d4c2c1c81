"""Training: an adapter tuned on the same task, from the recipe to the registry."""
