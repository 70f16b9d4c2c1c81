"""What tests of the doctor look for among its findings."""

from __future__ import annotations


def red(findings):
    """The one failed finding: its text and its command."""
    (finding,) = [one for one in findings if one.status == "failed"]
    assert finding.command
    return finding.text, finding.command
