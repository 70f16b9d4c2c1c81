"""Handlebars, as Dotprompt uses it, and Mustache in terms of Jinja.

A tag that stands alone on its line takes the line with it, as the Mustache specification has it. Nothing is escaped for
HTML. Inside `{{#each}}` and `{{#with}}` a name is a field of the item, as in Handlebars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from workbench.interop.handlebars_tokens import HandlebarsError as HandlebarsError
from workbench.interop.handlebars_tokens import read_tokens, split_words
from workbench.library.formats.sections import Section, quote_literal
from workbench.prompting.prompt import Role
from workbench.prompting.values import Kind

_NAME = re.compile(r"[A-Za-z_][\w-]*")
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "model": "assistant", "assistant": "assistant"}
_BEFORE_ELSE = re.compile(r"[\r\n]+(?=(?:\{% end\w+ %\})*\{% else %\})")
_BEHIND_ELSE = re.compile(r"(?<=\{% else %\})[\r\n]+")
_DEEPEST = 8
_ENDINGS = {
    "if": "endif",
    "unless": "endif",
    "each": "endfor",
    "with": "endwith",
    "ifEquals": "endif",
    "unlessEquals": "endif",
}


class HandlebarsPrompt(NamedTuple):
    """sections: the messages, each a Jinja template. kinds: of inputs that are no text. dropped: what is left out, and
    changes no message."""

    sections: tuple[Section, ...]
    kinds: dict[str, Kind]
    dropped: tuple[str, ...]


class _Scope(NamedTuple):
    """A block that is open. name: of the helper. this: the Jinja name of the item; "" where the block has none."""

    name: str
    this: str
    ending: str


def convert_handlebars(
    template: str, partials: Mapping[str, str] | None = None, mustache: bool = False
) -> tuple[Section, ...]:
    """The messages of a template, each a Jinja template; text before any role is the user's.

    Raises HandlebarsError for what has no counterpart.
    """
    writer = _Writer(partials or {}, mustache)
    writer.write(template, 0)
    return writer.finish()


def convert_prompt(template: str, partials: Mapping[str, str]) -> HandlebarsPrompt:
    """The same with what else a Dotprompt template says: a conversation so far, pictures, sections."""
    writer = _Writer(partials, False)
    writer.write(template, 0)
    return HandlebarsPrompt(writer.finish(), writer.kinds, tuple(dict.fromkeys(writer.dropped)))


class _Writer:
    """Writes Jinja, a message at a time."""

    def __init__(self, partials: Mapping[str, str], mustache: bool) -> None:
        self.partials, self.mustache = partials, mustache
        self.pieces: list[str] = []
        self.role: Role = "user"
        self.sections: list[Section] = []
        self.scopes: list[_Scope] = []
        self.hashes: list[dict[str, str]] = []
        self.kinds: dict[str, Kind] = {}
        self.dropped: list[str] = []

    def finish(self) -> tuple[Section, ...]:
        if self.scopes:
            raise HandlebarsError(f"{{{{#{self.scopes[-1].name}}}}} is never closed")
        self._end_message("user")
        return tuple(self.sections)

    def write(self, template: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise HandlebarsError("partials that nest too deeply, or contain themselves")
        for kind, body in read_tokens(template):
            if kind == "text":
                self.pieces.append(quote_literal(body))
            elif kind == "partial":
                self._write_partial(body, depth)
            elif kind == "open":
                self._open(body)
            elif kind == "inverse":
                self._open(f"unless {body}")
            elif kind == "else":
                self._else(body)
            elif kind == "close":
                self._close(body.strip())
            else:
                self._write_value(body)

    def _write_value(self, body: str) -> None:
        name, *arguments = split_words(body)
        if name == "role" and arguments and all("=" in one for one in arguments[1:]):
            if arguments[1:]:
                self.dropped.append("metadata of a message")
            if self.scopes:
                raise HandlebarsError("a role inside a block")
            role = _ROLES.get(arguments[0].strip("\"'"))
            if role is None:
                raise HandlebarsError(f"the role {arguments[0]}")
            self._end_message(role)
        elif name == "json" and arguments:
            indent = next((one[7:] for one in arguments[1:] if one.startswith("indent=")), "")
            if not re.fullmatch(r"\d{0,2}", indent):
                raise HandlebarsError(f"the indent {indent}")
            self.pieces.append(f"{{{{ {self._value(arguments[0])} | dump{f'({int(indent)})' if indent else ''} }}}}")
        elif name == "history" and not arguments:
            self._write_history()
        elif name == "media" and arguments:
            self._write_picture(dict(one.split("=", 1) for one in arguments if "=" in one))
        elif name == "section" and len(arguments) == 1:
            self.dropped.append("the mark of a section")
        elif arguments:
            raise HandlebarsError(f"the helper {name}")
        else:
            self.pieces.append(f"{{{{ {self._value(name)} }}}}")

    def _write_history(self) -> None:
        """The conversation so far, as messages between those of the prompt."""
        if self.scopes:
            raise HandlebarsError("the helper history inside a block")
        role = self.role
        self._end_message("user")
        self.sections.append(Section("user", "{{ history }}"))
        self.role, self.kinds["history"] = role, "thread"

    def _write_picture(self, given: Mapping[str, str]) -> None:
        """A picture that an input names; its type is told by its bytes."""
        url = given.get("url", "")
        if self.scopes or self.hashes or not _NAME.fullmatch(url) or "-" in url:
            raise HandlebarsError("the helper media with another address than an input of the prompt")
        self.kinds[url] = "image"
        self.pieces.append(f"{{{{ {url} }}}}")

    def _open(self, body: str) -> None:
        name, *arguments = split_words(body)
        inverse = name == "unless" and self.mustache
        if name == "each" and len(arguments) == 1:
            self._loop(self._value(arguments[0]), name)
        elif name == "with" and len(arguments) == 1:
            this = self._name_item()
            self.pieces.append(f"{{% with {this} = {self._value(arguments[0])} %}}")
            self.scopes.append(_Scope(name, this, "endwith"))
        elif name in ("if", "unless") and arguments:
            condition = self._value(arguments[0])
            self.pieces.append(f"{{% if {'not ' if name == 'unless' else ''}{condition} %}}")
            self.scopes.append(_Scope(arguments[0] if inverse else name, "", "endif"))
        elif name in ("ifEquals", "unlessEquals") and len(arguments) == 2:
            sign = "==" if name == "ifEquals" else "!="
            left, right = map(self._value, arguments)
            self.pieces.append(f"{{% if {left} {sign} {right} %}}")
            self.scopes.append(_Scope(name, "", "endif"))
        elif self.mustache and not arguments:
            self._open_section(name)
        else:
            raise HandlebarsError(f"the block {{{{#{name}}}}}")

    def _open_section(self, name: str) -> None:
        """Mustache: once for each item of a list, once for an object, not at all for what is empty or false."""
        value, this = self._value(name), self._name_item()
        listed = f"({value} if {value} is sequence and {value} is not string and {value} is not mapping else [{value}])"
        self.pieces.append(f"{{% if {value} %}}{{% for {this} in {listed} %}}")
        self.scopes.append(_Scope(name, this, "endfor %}{% endif"))

    def _loop(self, value: str, name: str) -> None:
        this = self._name_item()
        self.pieces.append(f"{{% for {this} in {value} %}}")
        self.scopes.append(_Scope(name, this, "endfor"))

    def _name_item(self) -> str:
        depth = sum(bool(scope.this) for scope in self.scopes) + 1
        return "item" if depth == 1 else f"item{depth}"

    def _else(self, body: str) -> None:
        if not self.scopes or self.scopes[-1].ending not in ("endif", "endfor"):
            raise HandlebarsError("{{else}} outside a condition or a loop")
        words = split_words(body)
        if words[1:2] == ["if"] and len(words) == 3 and self.scopes[-1].ending == "endif":
            self.pieces.append(f"{{% elif {self._value(words[2])} %}}")
        elif len(words) > 1:
            raise HandlebarsError(f"{{{{{body.strip()}}}}}")
        else:
            self.pieces.append("{% else %}")

    def _close(self, name: str) -> None:
        if not self.scopes or self.scopes[-1].name != name:
            raise HandlebarsError(f"{{{{/{name}}}}} closes nothing")
        self.pieces.append(f"{{% {self.scopes.pop().ending} %}}")

    def _write_partial(self, body: str, depth: int) -> None:
        name, *arguments = split_words(body)
        if name not in self.partials:
            raise HandlebarsError(f"the partial {name}, which is not beside the file")
        given = dict(one.split("=", 1) for one in arguments if "=" in one)
        if len(given) != len(arguments):
            raise HandlebarsError(f"the partial {name} with a context of its own")
        self.hashes.append({key: self._value(value) for key, value in given.items()})
        self.write(self.partials[name], depth + 1)
        self.hashes.pop()

    def _value(self, word: str) -> str:
        """A path or a literal as a Jinja expression."""
        if word[0] in "\"'":
            return word
        if re.fullmatch(r"-?\d+(?:\.\d+)?|true|false", word):
            return word
        if word in ("null", "undefined"):
            return "none"
        if word.startswith("("):
            raise HandlebarsError("a helper inside another")
        item = next((scope.this for scope in reversed(self.scopes) if scope.this), "")
        if word.startswith("@"):
            return self._data(word, item)
        if word.startswith("../"):
            return self._outer(word)
        if word in ("this", "."):
            if not item:
                raise HandlebarsError("`this` outside a block")
            return item
        path = re.sub(r"^this[./]", "", word)
        if self.hashes and not item and (first := re.split(r"[./]", path)[0]) in self.hashes[-1]:
            return self.hashes[-1][first] + _write_path(path)[len(first) :]
        return f"{item}.{_write_path(path)}" if item else _write_path(path)

    def _outer(self, word: str) -> str:
        """A name of a block further out; `if` and `unless` are no blocks for that, as in Handlebars."""
        path = word.replace("../", "")
        items = ["", *(scope.this for scope in self.scopes if scope.this)]
        out = len(items) - 1 - word.count("../")
        if out < 0 or self.hashes:
            raise HandlebarsError("a name outside of all blocks (../)")
        if not items[out]:
            return _write_path(path)
        return items[out] if path in ("this", ".", "") else f"{items[out]}.{_write_path(path)}"

    def _data(self, word: str, item: str) -> str:
        loops = {"@index": "loop.index0", "@first": "loop.first", "@last": "loop.last"}
        if word in loops and item:
            return loops[word]
        if word.startswith("@root."):
            return _write_path(word[6:])
        raise HandlebarsError(f"the variable {word}")

    def _end_message(self, role: Role) -> None:
        text = _keep_breaks("".join(self.pieces))
        if text.strip():
            self.sections.append(Section(self.role, text))
        self.pieces, self.role = [], role


def _keep_breaks(text: str) -> str:
    """A message with the line breaks around its `else` as expressions where a block begins or ends it: those of one
    branch would be layout, at the edge of what is rendered. `join_sections` does the same for the last branch."""
    if text.rstrip().endswith("%}"):
        text = _BEFORE_ELSE.sub(lambda found: _quote_breaks(found[0]), text)
    if text.lstrip().startswith("{%"):
        text = _BEHIND_ELSE.sub(lambda found: _quote_breaks(found[0]), text)
    return text


def _quote_breaks(breaks: str) -> str:
    return f"{{{{ {json.dumps(breaks)} }}}}"


def _write_path(path: str) -> str:
    parts = [part.strip("[]") for part in re.split(r"[./]", path)]
    if not parts or not all(_NAME.fullmatch(part) or part.isdigit() for part in parts) or "-" in parts[0]:
        raise HandlebarsError(f"the expression {path}")
    first, *rest = parts
    return first + "".join(f"[{one}]" if one.isdigit() else f'["{one}"]' if "-" in one else f".{one}" for one in rest)
