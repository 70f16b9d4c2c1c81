"""Reports: a summary and its cells as files for people and for machines."""
