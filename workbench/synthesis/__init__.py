"""Synthesis: more rows for a dataset, written by a model under a JSON schema, and reviewed by a person one by one."""
