"""Kills at random moments, and what must have survived them."""
