"""Passages of a corpus that answer a query: documents, chunks, indexes, fusion, and how good a ranking is."""
