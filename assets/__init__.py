"""The embedded model, its data, and the recipe that makes both (see README.md)."""
