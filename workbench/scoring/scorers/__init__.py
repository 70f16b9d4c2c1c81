"""One file for each scorer, or for a few of a kind; each registers itself (scoring/registry.py)."""
