"""Checks that prove that this installation works: each runs the thing itself rather than believing its name."""
