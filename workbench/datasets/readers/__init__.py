"""One file for each format of datasets; each reader registers itself (datasets/registry.py)."""
