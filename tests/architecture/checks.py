"""Each rule as a function that lists what breaks it, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.architecture.source import (
    Site,
    find_circles,
    find_classes,
    find_identifiers,
    find_imports,
    list_files,
    split_words,
)
from tests.architecture.words import FIELD_WORDS, OLD_WORDS, OldWord


def list_duplicate_classes() -> Iterator[str]:
    """Names that more than one class has, those of the tests included."""
    found = find_classes()
    for name, sites in find_classes("tests").items():
        found[name] += sites
    for name, sites in sorted(found.items()):
        if len(sites) > 1:
            yield f"class {name}: {', '.join(map(str, sites))}"


def list_circles() -> Iterator[str]:
    """Modules that import each other, in a circle, for the type checker too."""
    for circle in find_circles(find_imports()):
        yield f"{len(circle)} modules import each other: {', '.join(circle)}"


def list_old_words() -> Iterator[str]:
    """Identifiers with a word that has another name in the field, by file."""
    found = find_identifiers()
    lines: dict[tuple[str, str], tuple[int, int, OldWord]] = {}
    for old in OLD_WORDS:
        for identifier, sites in found.items():
            for site in sites if _has(identifier, old.word) else ():
                if _applies(old, site):
                    first, count, _ = lines.get((site.path, identifier), (site.line, 0, old))
                    lines[site.path, identifier] = min(first, site.line), count + 1, old
    for (path, identifier), (line, count, old) in sorted(lines.items()):
        yield f"{path}:{line} ({count}x): {identifier} (use {old.instead})"


def _has(identifier: str, word: str) -> bool:
    if word.startswith("="):
        return identifier.lstrip("_") == word[1:]
    return word in split_words(identifier)


def _applies(old: OldWord, site: Site) -> bool:
    inside = site.path.removeprefix("workbench/")
    named = not old.scopes or inside.startswith(tuple(f"{scope}/" for scope in old.scopes))
    return named and not inside.startswith(tuple(f"{scope}/" for scope in old.legitimate))


def list_missing_words() -> Iterator[str]:
    """Words of the field that nobody finds by searching the code."""
    text = "\n".join(path.read_text() for path in list_files().values())
    for word in FIELD_WORDS:
        pattern = re.sub(r"[ _]", "[ _-]", word)
        if not re.search(pattern, text, re.IGNORECASE):
            yield f"nowhere: {word}"


RULES = {
    "class names used twice": list_duplicate_classes,
    "circles of imports": list_circles,
    "words with another name in the field": list_old_words,
    "words of the field that are not found": list_missing_words,
}
