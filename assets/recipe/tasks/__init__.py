"""Tasks: what the model practises. Each module writes documents of one kind.

Knows nothing of tokens or of training; `mix.py` says how much there is of each.
"""
