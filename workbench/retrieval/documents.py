"""The documents of a corpus: text, Markdown, HTML, PDF and JSON lines as plain texts under names."""

from __future__ import annotations

import hashlib
import html.parser
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import files
from workbench.errors import DatasetError, FileError, WorkbenchError

TEXT_KEYS = ("text", "content", "passage", "body")
NAME_KEYS = ("id", "_id", "doc_id", "name")
MOST_BYTES = 256 * 1024 * 1024


class CorpusDocument(msgspec.Struct, frozen=True):
    """name: its path within the corpus, or the id of a JSON line. text: what is chunked and shown; offsets count its
    characters. markdown: whether headings and lists say where it may be cut."""

    name: str
    text: str
    markdown: bool = False

    @property
    def digest(self) -> str:
        return hashlib.blake2b(self.text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class ReadDocuments(NamedTuple):
    """problems: files or lines that could not be read, in words."""

    documents: tuple[CorpusDocument, ...]
    problems: tuple[str, ...]


def list_files(path: Path) -> list[Path]:
    """The files of a corpus that can be read, by name; hidden ones are left out. Raises DatasetError for none."""
    if path.is_file():
        return [path]
    found = [
        one
        for one in path.rglob("*")
        if one.suffix.lower() in _READERS and one.is_file() and not _is_hidden(one.relative_to(path))
    ]
    if not found:
        raise DatasetError(
            f"The corpus {path} holds no document.", f"Expected files named {', '.join(f'*{s}' for s in _READERS)}."
        )
    return sorted(found, key=lambda one: one.relative_to(path).as_posix())


def read_documents(path: Path, on_file: Callable[[int, int], object] = lambda done, total: None) -> ReadDocuments:
    """Every document of a file or folder; what cannot be read is told, not passed over.

    on_file: told how many of how many files are read; it may raise to end the reading.
    Raises DatasetError for a corpus without any document, and for two documents of one name.
    """
    paths = list_files(path)
    documents: dict[str, CorpusDocument] = {}
    problems: list[str] = []
    for number, one in enumerate(paths):
        on_file(number, len(paths))
        name = one.relative_to(path).as_posix() if one != path else one.name
        try:
            for document in _read_file(one, name, problems):
                if document.name in documents:
                    raise DatasetError(f"{name}: two documents of the corpus are named {document.name!r}.")
                documents[document.name] = document
        except (FileError, UnicodeError, OSError) as error:
            problems.append(f"{name}: {error}")
    on_file(len(paths), len(paths))
    if not documents:
        shown = "; ".join(problems[:3]) or "its files are empty"
        raise DatasetError(f"The corpus {path} holds no text: {shown}.", "Add a document, or name another folder.")
    return ReadDocuments(tuple(documents.values()), tuple(problems))


def find_copies(documents: tuple[CorpusDocument, ...]) -> tuple[tuple[str, ...], ...]:
    """The names of documents that hold the same text, group by group."""
    names: dict[str, list[str]] = {}
    for document in documents:
        names.setdefault(document.digest, []).append(document.name)
    return tuple(tuple(group) for group in names.values() if len(group) > 1)


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _read_file(path: Path, name: str, problems: list[str]) -> Iterator[CorpusDocument]:
    if path.stat().st_size > MOST_BYTES:
        raise FileError(f"larger than {MOST_BYTES >> 20} MB", "Split it.")
    reader = _READERS.get(path.suffix.lower(), _read_text)
    for document in reader(path, name, problems):
        if document.text.strip():
            yield document
        else:
            problems.append(f"{document.name}: holds no text")


def _read_text(path: Path, name: str, problems: list[str]) -> Iterator[CorpusDocument]:
    yield CorpusDocument(name, files.read_text(path))


def _read_markdown(path: Path, name: str, problems: list[str]) -> Iterator[CorpusDocument]:
    yield CorpusDocument(name, files.read_text(path), markdown=True)


def _read_html(path: Path, name: str, problems: list[str]) -> Iterator[CorpusDocument]:
    yield CorpusDocument(name, html_to_text(files.read_text(path)))


def _read_pdf(path: Path, name: str, problems: list[str]) -> Iterator[CorpusDocument]:
    """The text of its pages, a form feed between two of them."""
    from pypdf import PdfReader

    try:
        reader = PdfReader(io.BytesIO(path.read_bytes()))
        if reader.is_encrypted and not reader.decrypt(""):
            problems.append(f"{name}: is encrypted")
            return
        pages = [page.extract_text() or "" for page in reader.pages]
    except WorkbenchError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a foreign file does to the library, a person gets a sentence
        problems.append(f"{name}: not a readable PDF ({type(error).__name__}: {error})")
        return
    if blank := sum(not page.strip() for page in pages):
        problems.append(f"{name}: {blank} of {len(pages)} pages hold no text (scanned?)")
    if any(page.strip() for page in pages):
        yield CorpusDocument(name, "\f".join(pages).encode("utf-8", "replace").decode())


def _read_json_lines(path: Path, name: str, problems: list[str]) -> Iterator[CorpusDocument]:
    for number, line in enumerate(files.split_lines(files.read_text(path)), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"{name}, line {number}: not JSON ({error})")
            continue
        text = _first(row, TEXT_KEYS)
        if text is None:
            problems.append(f"{name}, line {number}: expected an object with {', '.join(TEXT_KEYS)}")
            continue
        title = _first(row, ("title",))
        own = _first(row, NAME_KEYS)
        yield CorpusDocument(own or f"{name}#{number}", f"{title}\n\n{text}" if title else text)


def _first(row: object, keys: tuple[str, ...]) -> str | None:
    if not isinstance(row, dict):
        return None
    found = next((row[key] for key in keys if row.get(key) not in (None, "")), None)
    return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else None


class _TextOnly(html.parser.HTMLParser):
    """Collects what a browser would show, a line for each block."""

    _BLOCKS = frozenset(
        [
            "address",
            "article",
            "aside",
            "blockquote",
            "br",
            "dd",
            "div",
            "dl",
            "dt",
            "fieldset",
            "figcaption",
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
            "li",
            "main",
            "nav",
            "ol",
            "p",
            "pre",
            "section",
            "table",
            "td",
            "th",
            "title",
            "tr",
            "ul",
        ]
    )
    _UNSEEN = frozenset(("script", "style", "template", "noscript", "svg"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._UNSEEN:
            self._unseen.append(tag)
        elif tag in self._BLOCKS:
            self._pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif tag in self._BLOCKS:
            self._pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._pieces.append(data)

    @property
    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._pieces).split("\n"))
        return "\n".join(line for line in lines if line)


def html_to_text(page: str) -> str:
    """What a browser would show of a page, a line for each block."""
    parser = _TextOnly()
    parser.feed(page)
    parser.close()
    return parser.text


_READERS: dict[str, Callable[[Path, str, list[str]], Iterator[CorpusDocument]]] = {
    ".txt": _read_text,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".rst": _read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".pdf": _read_pdf,
    ".jsonl": _read_json_lines,
}
