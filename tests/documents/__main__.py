"""`python -m tests.documents`: write the tables of README.md and docs/ as the code has them."""

from __future__ import annotations

from tests.documents.tables import DOCUMENTS, write_tables

for path in DOCUMENTS:
    text = path.read_text()
    written = write_tables(text)
    if written != text:
        path.write_text(written)
        print(f"Wrote {path}")
