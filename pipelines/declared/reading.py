"""YAML and JSON to plain values that know their line, so that what is wrong can be pointed at.

Both are read by PyYAML's composer, which keeps a mark at every value. Of YAML only what JSON can say is taken: a plain
word is what JSON would make of it (true, null, 5, 0.3), everything else is text. So a date stays text, `on` is no
boolean, and anchors and tags, which a set-up does not need, are refused instead of being half understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_PLAIN_TAGS = "tag:yaml.org,2002:"
_LITERAL = re.compile(r"true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a file."""

    line: int
    path: str
    """`solutions[0].serviceConfig.name`; empty: the file as a whole."""
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}{': ' if self.path else ''}{self.reason}"


class Refused(Exception):
    """A file that cannot be used, with everything that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Document:
    """What a file says, and the line of each path."""

    value: Any
    lines: Mapping[str, int] = field(repr=False)

    def line(self, path: str) -> int:
        """The line of a path or, of a member that is missing, of the nearest one around it."""
        while path and path not in self.lines:
            path = re.sub(r"(\.?[^.\[\]]*|\[\d+\])$", "", path)
        return self.lines.get(path, 1)

    def problem(self, path: str, reason: str) -> Problem:
        """What is wrong at a path, with its line."""
        return Problem(self.line(path), path, reason)


def read(text: str) -> Document:
    """The file's values; raises Refused."""
    # JSON may be indented by tabs, which YAML refuses; inside JSON's strings there is none, and a column stays a column.
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Refused(Problem(line, "", f"cannot be read: {error.problem or error.context}")) from None
    except yaml.YAMLError as error:
        raise Refused(Problem(1, "", f"cannot be read: {error}")) from None
    if root is None:
        raise Refused(Problem(1, "", "is empty"))
    lines: dict[str, int] = {}
    return Document(_value(root, "", text, lines, set()), lines)


def is_literal(word: str) -> bool:
    """Whether a plain word is a number, true, false or null."""
    return _LITERAL.fullmatch(word) is not None


def step(path: str, key: str | int) -> str:
    """The path of a member: `a`, `b` -> `a.b`; `a`, 0 -> `a[0]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _value(node: Node, path: str, text: str, lines: dict[str, int], seen: set[int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        raise _refused(node, path, "anchors and aliases (*) are not taken: write it out")
    seen.add(id(node))
    if not node.tag.startswith(_PLAIN_TAGS) or node.tag.startswith(f"{_PLAIN_TAGS}python"):
        raise _refused(node, path, f"tag {node.tag} is not taken")
    if isinstance(node, SequenceNode):
        return [_value(child, step(path, number), text, lines, seen) for number, child in enumerate(node.value)]
    if isinstance(node, MappingNode):
        return _mapping(node, path, text, lines, seen)
    assert isinstance(node, ScalarNode)
    return _scalar(node, text)


def _mapping(node: MappingNode, path: str, text: str, lines: dict[str, int], seen: set[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, child in node.value:
        if not isinstance(key_node, ScalarNode) or key_node.value == "<<":
            raise _refused(key_node, path, "keys must be words")
        key = str(key_node.value)
        here = step(path, key)
        if key in found:
            raise _refused(key_node, here, f"is there twice; the first is in line {lines[here]}")
        # The key's line, not the value's: that is where a person looks for it.
        lines[here] = key_node.start_mark.line + 1
        found[key] = _value(child, here, text, lines, seen)
    return found


def _scalar(node: ScalarNode, text: str) -> Any:
    if node.style is None:
        if is_literal(node.value):
            return json.loads(node.value)
        return None if node.value in ("", "~") else node.value
    if node.style == '"':
        try:  # JSON's own reading of its escapes: YAML knows no pairs of surrogates
            return json.loads(text[node.start_mark.index : node.end_mark.index])
        except json.JSONDecodeError:
            return node.value
    return node.value


def _refused(node: Node, path: str, reason: str) -> Refused:
    return Refused(Problem(node.start_mark.line + 1, path, reason))
