"""Statistics: pure functions on arrays of numbers: intervals, paired tests, power, ratings.

Knows nothing of benches, cells or stores. Each formula is checked against scipy's or statsmodels' own, and is written
here only where importing those would cost a person more than a second at the end of every run.
"""
