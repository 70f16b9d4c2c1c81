"""Native: files that are read by a library, in a process of its own with limits of time and memory.

A broken or hostile Parquet, Arrow or Excel file can crash that process, hang it or exhaust its memory; the one that
asked is told so in words.
"""
