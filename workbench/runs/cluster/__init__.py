"""Cells answered on the nodes of a Ray cluster, each by the engine processes of that node.

Only bytes, numbers and texts cross between machines: Ray pickles what it is given, so it is given nothing else.
"""
