"""The recipe of the embedded model: from readable world files to weights. `python -m assets.recipe` lists its steps.

Knows nothing of the workbench, except that `convert` calls its converter.
"""
