"""Reward models: adapters with a head that gives an answer a number, in a process of their own."""
