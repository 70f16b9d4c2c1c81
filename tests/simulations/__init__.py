"""Simulations: how often intervals hold the truth and verdicts are false, on made-up data whose truth is known."""
