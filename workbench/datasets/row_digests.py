"""Row digests: what an adapter's training rows were, as hashes that lie beside its weights.

They tell later whether a test case was among the rows, without keeping the rows themselves.

Three hashes a row: of its texts as they are, of its texts without case, punctuation and spacing, and a bottom-k sketch
of its character 5-grams, from which the Jaccard similarity of two texts is estimated (Broder 1997; Cohen and Kaplan
2007). A text of at most 64 distinct 5-grams is kept whole, so that short rows are compared exactly.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench.datasets.duplicates import DuplicateKind, normalise
from workbench.errors import FileError

FILE = "training_rows.msgpack"
"""The file beside an adapter's weights."""

_HASH = 8  # bytes of a text's hash
_GRAM = 5  # characters
_SKETCH = 64  # smallest gram hashes kept of a row
_NEAR = 0.9  # Jaccard similarity from which two texts count as nearly the same
_LONGEST = 256 << 20  # bytes of a file that is read: about 900,000 rows

Role = Literal["train", "preference", "validation"]


class RowDigests(msgspec.Struct, frozen=True):
    """The rows of one role. columns: whose texts were hashed, in this order. exact, normalised: one hash a row."""

    role: Role
    columns: tuple[str, ...]
    exact: tuple[bytes, ...]
    normalised: tuple[bytes, ...]
    sketches: tuple[tuple[int, ...], ...]


class SeenCase(NamedTuple):
    """A case that stands among digested rows. row: from 1, in the order they were digested."""

    case: int
    row: int
    kind: DuplicateKind
    role: Role


def make_digests(role: Role, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> RowDigests:
    """The digests of rows, each given as its values by column. A row without text in these columns is left out."""
    texts = [text for row in rows if (text := _join(row, columns)).strip()]
    return RowDigests(
        role,
        tuple(columns),
        tuple(_hash(text) for text in texts),
        tuple(_hash(normalise(text)) for text in texts),
        tuple(_sketch(normalise(text)) for text in texts),
    )


def merge_digests(parts: Iterable[RowDigests]) -> tuple[RowDigests, ...]:
    """Parts of the same role and columns as one each: an adapter trained from another has seen that one's rows too."""
    merged: dict[tuple[Role, tuple[str, ...]], RowDigests] = {}
    for part in parts:
        known = merged.get((part.role, part.columns))
        merged[part.role, part.columns] = part if known is None else _concatenate(known, part)
    return tuple(merged.values())


def digests_path(adapter: Path) -> Path:
    """Where the digests of an adapter lie: in its folder, or beside its file under the file's name."""
    return adapter.with_suffix(f".{FILE}") if adapter.suffix == ".gguf" else adapter / FILE


def write_digests(adapter: Path, parts: Sequence[RowDigests]) -> None:
    """Raises FileError."""
    path = digests_path(adapter)
    try:
        path.write_bytes(msgspec.msgpack.encode(parts))
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror}.", "Free some space, then train again.") from error


def read_digests(adapter: Path) -> tuple[RowDigests, ...] | None:
    """The digests of an adapter's rows; None where there are none. Raises FileError where they cannot be read."""
    path = digests_path(adapter)
    try:
        if path.stat().st_size > _LONGEST:
            raise FileError(f"{path} is too large to be the digests of training rows.", "Delete it.")
        return msgspec.msgpack.decode(path.read_bytes(), type=tuple[RowDigests, ...])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileError(f"{path} cannot be read: {error}.", "Train the adapter again to write a new one.") from error


class SeenRows:
    """Digested rows, laid out so that many cases can be looked up."""

    def __init__(self, parts: Sequence[RowDigests]) -> None:
        self._parts = tuple(_Index(part) for part in parts)

    def find(self, cases: Iterable[tuple[int, Mapping[str, object]]]) -> tuple[SeenCase, ...]:
        """The cases, given by number and variables, that are the same as a row or nearly; each once, by its best match.

        A case that lacks the rows' columns is compared text by text where the rows have a single column, since the
        same text often stands under another name.
        """
        found = []
        for number, variables in cases:
            hits = [hit for part in self._parts if (hit := part.look_up(number, variables))]
            if hits:
                found.append(min(hits, key=lambda hit: _STRENGTH.index(hit.kind)))
        return tuple(found)


_STRENGTH: tuple[DuplicateKind, ...] = ("exact", "normalised", "near")


class _Index:
    """One part's rows by each of their hashes."""

    def __init__(self, part: RowDigests) -> None:
        self._part = part
        self._exact = {digest: row for row, digest in enumerate(part.exact, start=1)}
        self._normalised = {digest: row for row, digest in enumerate(part.normalised, start=1)}
        self._grams: dict[int, list[int]] = defaultdict(list)
        for row, sketch in enumerate(part.sketches, start=1):
            for gram in sketch:
                self._grams[gram].append(row)

    def look_up(self, number: int, variables: Mapping[str, object]) -> SeenCase | None:
        columns = self._part.columns
        if all(name in variables for name in columns):
            texts = [_join(variables, columns)]
        else:
            texts = [str(value) for value in variables.values()] if len(columns) == 1 else []
        hits = [hit for text in texts if text.strip() and (hit := self._match(number, text))]
        return min(hits, key=lambda hit: _STRENGTH.index(hit.kind), default=None)

    def _match(self, number: int, text: str) -> SeenCase | None:
        role = self._part.role
        if (row := self._exact.get(_hash(text))) is not None:
            return SeenCase(number, row, "exact", role)
        plain = normalise(text)
        if (row := self._normalised.get(_hash(plain))) is not None:
            return SeenCase(number, row, "normalised", role)
        near = self._find_near(_sketch(plain))
        return SeenCase(number, near, "near", role) if near else None

    def _find_near(self, sketch: tuple[int, ...]) -> int | None:
        """The row whose estimated similarity is highest, if it is high enough."""
        shared = Counter(row for gram in sketch for row in self._grams.get(gram, ()))
        best, best_similarity = None, _NEAR
        for row, count in shared.items():
            if count >= _NEAR * len(sketch) * 0.8:  # what differs this much cannot come near; saves most comparisons
                similarity = _estimate(sketch, self._part.sketches[row - 1])
                if similarity >= best_similarity:
                    best, best_similarity = row, similarity
        return best


def _estimate(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """The Jaccard similarity of two texts: of the k smallest hashes of both together, the share that both have."""
    union = sorted({*a, *b})
    smallest = union[:_SKETCH] if max(len(a), len(b)) >= _SKETCH else union
    both = {*a} & {*b}
    return sum(1 for gram in smallest if gram in both) / len(smallest) if smallest else 0.0


def _sketch(text: str) -> tuple[int, ...]:
    grams = {zlib.crc32(text[at : at + _GRAM].encode()) for at in range(max(1, len(text) - _GRAM + 1))}
    return tuple(sorted(grams)[:_SKETCH])


def _join(row: Mapping[str, object], columns: Sequence[str]) -> str:
    return "\n".join(str(row[name]) for name in columns if row.get(name) is not None)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH).digest()


def _concatenate(a: RowDigests, b: RowDigests) -> RowDigests:
    return msgspec.structs.replace(
        a, exact=a.exact + b.exact, normalised=a.normalised + b.normalised, sketches=a.sketches + b.sketches
    )
