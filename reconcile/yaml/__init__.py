"""
YAML text → nodes with positions: of documents, and of files of secrets. Nothing is guessed: a scalar is its text, and
the schema decides what it is.

Built on the C parser's events, never on its loader: that one recurses in C and dies of deep nesting. Refused here:
aliases, anchors, merge keys, tags, keys given twice, keys that are not text, a second document, and more depth, nodes
or bytes than a fleet needs.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconcile.errors import Flaw
from reconcile.files import NotText, text_of
from reconcile.yaml.syntax import MAX_DEPTH, NO_ALIAS, Unsupported, aliased, explain, unquoted

MAX_BYTES = 64 << 20
MAX_NODES = 4_000_000
FEW_NODES, BYTES_PER_NODE = (
    250_000,
    8,
)  # beyond the few, a file has no more values than that; a device has 20 bytes each
MAX_MISTAKES = 20  # in one file, of those that do not end the reading

_LINE_BITS, _COLUMN_BITS = 26, 16
_COLUMN_MOST, _LINE_MOST = (1 << _COLUMN_BITS) - 1, (1 << _LINE_BITS) - 1

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]|\r(?!\n)")
_NOT_IN_KEY = re.compile(r"\{\{|\{%")
_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class Scalar:
    """A scalar as it is written. `at` packs file, line and column, and whether it stands in quotes (`place`)."""

    __slots__ = ("at", "text")

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at

    @property
    def plain(self) -> bool:
        """Whether it is written without quotes."""
        return not self.at & 1

    @property
    def null(self) -> bool:
        """Whether it means *not written here*."""
        return not self.at & 1 and self.text in _NULLS


class Seq:
    """A list."""

    __slots__ = ("at", "members")

    def __init__(self, members: list[Node], at: int) -> None:
        self.members, self.at = members, at


class Map:
    """A map; `keys` packs the places of its keys, in order, eight bytes each."""

    __slots__ = ("_ordinals", "at", "keys", "members")

    def __init__(self, members: dict[str, Node], at: int, keys: bytes) -> None:
        self.members, self.at, self.keys = members, at, keys
        self._ordinals: dict[str, int] | None = None

    def key_at(self, name: str) -> int:
        """The place of a key, for `place`."""
        if self._ordinals is None:  # every key of a large map may be wrong, so they are counted once
            self._ordinals = {member: index for index, member in enumerate(self.members)}
        index = self._ordinals.get(name)
        if index is None or len(self.keys) < 8 * index + 8:
            return self.at
        return int.from_bytes(self.keys[8 * index : 8 * index + 8], "little")

    def items(self) -> Iterator[tuple[str, Node, int]]:
        """`(key, member, place of the key)`, in order."""
        for index, (name, member) in enumerate(self.members.items()):
            yield name, member, int.from_bytes(self.keys[8 * index : 8 * index + 8], "little") or self.at

    def get(self, name: str) -> Node | None:
        """The member, or None when it is not written (`null` included)."""
        found = self.members.get(name)
        return None if type(found) is Scalar and found.null else found


Node = Scalar | Seq | Map
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


def pack(file: int, line: int, column: int, quoted: bool = False) -> int:
    """A place in one integer; `line` and `column` are 1-based."""
    return ((file << _LINE_BITS | min(line, _LINE_MOST)) << _COLUMN_BITS | min(column, _COLUMN_MOST)) << 1 | quoted


def place(at: int) -> tuple[int, int, int]:
    """File number, line, column of a packed place."""
    return at >> (1 + _COLUMN_BITS + _LINE_BITS), at >> (1 + _COLUMN_BITS) & _LINE_MOST, at >> 1 & _COLUMN_MOST


@dataclass(slots=True)
class Tree:
    """
    A file that was read.

    Attributes:
        root: None when the file says nothing.
        mistakes: `(line, column, flaw)`, in the order of the file.
        named: the scalars under the keys `file` and `for_each`: files that are not documents themselves.
    """

    root: Node | None = None
    mistakes: list[tuple[int, int, Flaw]] = field(default_factory=list)
    named: list[str] = field(default_factory=list)


def decode(data: bytes) -> str:
    """
    The text of a file.

    Raises:
        Flaw: it is not UTF-8, too large, or holds characters that YAML does not allow. `at` says where.
    """
    if len(data) > MAX_BYTES:
        raise Flaw(f"the file has {len(data):,} bytes, at most {MAX_BYTES:,} are read", at=(0, 0))
    try:
        text = text_of(data)
    except NotText as wrong:
        raise Flaw(f"the file {wrong.why}", hint=wrong.hint, at=(wrong.line, 0)) from None
    if found := _CONTROL.search(text):
        before = text[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        if found[0] == "\r":
            raise Flaw("a line ends with CR alone", hint="Save the file with LF or CRLF line ends", at=(line, column))
        raise Flaw(
            f"character U+{ord(found[0]):04X} may not stand in a file",
            hint=f'In double quotes it can be written as "\\u{ord(found[0]):04x}"' if found[0] != "\0" else None,
            at=(line, column),
        )
    return text


def parse(text: str, file: int = 0, ours: bool = True) -> Tree:
    """
    The nodes of a text. Never raises for what is in the text: see `Tree.mistakes`.

    Args:
        file: the number that positions carry.
        ours: whether it is a document of ours, in whose keys no template and no null may stand, and which
            has no U+0000 and no more values than its size allows.
    """
    tree = Tree()
    try:
        _Composer(tree, text, file, ours).run()
    except yaml.MarkedYAMLError as error:
        if "Unicode character escape" in (error.problem or "") and _PAIR.search(text):
            # JSON writes what lies beyond U+FFFF as two escapes, which libyaml does not read.
            return parse(_PAIR.sub(_as_one_escape, text), file, ours)
        tree.mistakes.append(explain(error, text))
    except (yaml.YAMLError, ValueError) as error:
        tree.mistakes.append((1, 0, Flaw(f"this is not YAML: {str(error).splitlines()[0]}")))
    except Flaw as flaw:
        tree.mistakes.append((*(flaw.at or (1, 0)), flaw))
    tree.mistakes.sort(key=lambda mistake: mistake[:2])
    return tree


def _events(text: str) -> Iterator[Any]:
    loader: Any = yaml.CLoader if yaml.__with_libyaml__ else yaml.Loader
    return yaml.parse(text, Loader=loader)


def _as_one_escape(found: re.Match[str]) -> str:
    high, low = int(found[1], 16), int(found[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


class _Frame:
    """A list or map that is being read. `key` is the pending key; `at_key` whether a key comes next."""

    __slots__ = ("at", "key", "keys", "members")

    def __init__(self, at: int, members: Any) -> None:
        self.at, self.members = at, members
        self.keys: list[int] = []
        self.key: str | bool | None = False  # False = a key comes next, None = its value is dropped

    @property
    def wants_key(self) -> bool:
        """Whether what comes next is a key."""
        return self.key is False and type(self.members) is dict


class _Composer:
    """Makes nodes of events, with a method for each kind of event; what is open stands in `stack` and `frame`."""

    def __init__(self, tree: Tree, text: str, file: int, ours: bool) -> None:
        self.tree, self.text, self.file, self.base = tree, text, file, file << _LINE_BITS
        self.ours = ours
        self.stack: list[_Frame] = []
        self.frame: _Frame | None = None
        self.texts: dict[str, str] = {}
        self.nodes = self.documents = 0
        self.most = min(MAX_NODES, max(FEW_NODES, len(text) // BYTES_PER_NODE))

    def run(self) -> None:
        """Raises Flaw, with its place, where reading cannot go on."""
        handlers: dict[type[Any], Callable[[Any, int, int], Node | None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.start,
            yaml.SequenceStartEvent: self.start,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document,
        }
        for event in _events(self.text):
            handler = handlers.get(type(event))
            if handler is None:
                continue
            mark = event.start_mark
            node = handler(event, mark.line + 1, mark.column + 1)
            if node is not None:
                self.add(node, mark.line + 1, mark.column + 1)

    def scalar(self, event: Any, line: int, column: int) -> Node | None:
        """A text: a key, or a value."""
        word, quoted = event.value, bool(event.style)
        if column > _COLUMN_MOST or line > _LINE_MOST:
            at = pack(self.file, line, column, quoted)
        else:
            at = ((self.base | line) << _COLUMN_BITS | column) << 1 | quoted
        if event.tag is not None or event.anchor is not None:
            _decorated(self.tree, event, line, column)
        frame = self.frame
        if frame is not None and frame.key is False and type(frame.members) is dict:
            self.key(frame, self.texts.setdefault(word, word), at)
            return None
        if self.ours and "\0" in word:
            _mistake(self.tree, line, column, Flaw("a string may not hold the character U+0000"))
        return Scalar(word, at)

    def start(self, event: Any, line: int, column: int) -> None:
        """A list or a map begins."""
        mapping, frame = type(event) is yaml.MappingStartEvent, self.frame
        if event.tag is not None or event.anchor is not None:
            _decorated(self.tree, event, line, column)
        if frame is not None:
            if frame.wants_key:
                _complex_key(self.tree, self.text, line, column, mapping)
                frame.key = True
            self.stack.append(frame)
        if len(self.stack) >= MAX_DEPTH:
            raise Flaw(f"this is nested more than {MAX_DEPTH} deep", kind=Unsupported.DEEP, at=(line, column))
        self.frame = _Frame(pack(self.file, line, column), {} if mapping else [])
        self.nodes += 1

    def end(self, event: Any, line: int, column: int) -> Node | None:
        """A list or a map ends."""
        done = self.frame
        assert done is not None
        self.frame = self.stack.pop() if self.stack else None
        if self.frame is not None and self.frame.key is True:  # it stood where a key belongs
            self.frame.key = None
            return None
        if type(done.members) is dict:
            return Map(done.members, done.at, array("Q", done.keys).tobytes())
        return Seq(done.members, done.at)

    def alias(self, event: Any, line: int, column: int) -> Node | None:
        """Something stands for what an anchor names: a mistake."""
        _mistake(self.tree, line, column, aliased())
        if self.frame is not None and self.frame.wants_key:
            self.frame.key = None
            return None
        return Scalar("", pack(self.file, line, column))

    def document(self, event: Any, line: int, column: int) -> None:
        """A document begins."""
        self.documents += 1
        if self.documents > 1:
            what = "a second document begins here, a file holds one"
            raise Flaw(what, hint="Put it into a file of its own", kind=Unsupported.DOCUMENTS, at=(line, 1))

    def add(self, node: Node, line: int, column: int) -> None:
        """A value goes where it belongs."""
        self.nodes += 1
        if self.ours and self.nodes > self.most:
            raise Flaw(f"the file has more than {self.most:,} values", at=(line, column))
        frame = self.frame
        if frame is None:
            self.tree.root = node
        elif type(frame.members) is list:
            frame.members.append(node)
        else:
            key, frame.key = frame.key, False
            if type(key) is str:
                frame.members[key] = node
                if (key == "file" or key == "for_each") and type(node) is Scalar:
                    self.tree.named.append(node.text)

    def key(self, frame: _Frame, word: str, at: int) -> None:
        """A key of the map that is open."""
        flaw = _flaw_of_key(frame, word, at & 1 == 1, self.ours)
        frame.key = word if flaw is None else None
        if flaw is not None:
            _mistake(self.tree, *place(at)[1:], flaw)
            return
        frame.members[word] = None
        frame.keys.append(at)


def _flaw_of_key(frame: _Frame, word: str, quoted: bool, ours: bool) -> Flaw | None:
    if word in frame.members:
        first = place(Map(frame.members, 0, array("Q", frame.keys).tobytes()).key_at(word))
        what = f'"{word}" is given twice, first on line {first[1]}'
        return Flaw(what, hint="Keep one of them", kind=Unsupported.TWICE)
    if not ours:
        return None
    if not quoted and word == "<<":
        return Flaw("merge keys (<<) are not read", hint=NO_ALIAS)
    if not quoted and word in _NULLS:
        return Flaw("a key is missing here, or is null", hint='Quote it if it is meant: "null"')
    if "\0" in word:
        return Flaw("a key may not hold the character U+0000")
    if _NOT_IN_KEY.search(word):
        hint = "Give the block a name, and say `key:` in it for the names of its resources"
        return Flaw("a template cannot stand in a key", hint=hint)
    return None


def _mistake(tree: Tree, line: int, column: int, flaw: Flaw) -> None:
    if len(tree.mistakes) >= MAX_MISTAKES:
        raise Flaw("and more mistakes in this file", at=(line, column))
    tree.mistakes.append((line, column, flaw))


def _decorated(tree: Tree, event: Any, line: int, column: int) -> None:
    if event.anchor is not None:
        _mistake(tree, line, column, Flaw("YAML anchors (&) are not read", hint=NO_ALIAS, kind=Unsupported.ALIAS))
    if event.tag is not None:
        _mistake(
            tree,
            line,
            column,
            Flaw(
                "YAML tags (!) are not read",
                hint="The schema decides the type. Quote the value if it begins so",
                kind=Unsupported.TAG,
            ),
        )


def _complex_key(tree: Tree, text: str, line: int, column: int, mapping: bool) -> None:
    source = text.split("\n", line)[line - 1] if line else ""
    if mapping and source[column - 1 : column] == "{" and "{{" in source[max(0, column - 2) :]:
        raise unquoted(source, line, max(column - 1, 1), Unsupported.KEY)
    _mistake(tree, line, column, Flaw("expected a string as a key, got a list or a map", kind=Unsupported.KEY))
