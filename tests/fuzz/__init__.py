"""Fuzzing of every reader of foreign files: mutations of real files, read in child processes under limits."""
