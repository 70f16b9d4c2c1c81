"""Prompt file formats, a module each."""
