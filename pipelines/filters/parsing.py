"""Text -> tree, by lark's LALR parser.

lark and its parser take 0.2 s to load, so whoever never parses never pays: both come with the first expression. A
generated parser (lark's `standalone`) would load faster and put 3,000 lines here that nobody reads.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipelines.filters.failing import ATTRIBUTES, FILTER, refused
from pipelines.filters.grammar import GRAMMAR, READABLE
from pipelines.filters.tree import (
    AllOf,
    AnyOf,
    Anything,
    Condition,
    Expression,
    Field,
    Filter,
    Listed,
    Moment,
    Operand,
    Placeholder,
    Value,
    Where,
)

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}


def parse(text: str) -> Filter:
    """The tree of an expression, not yet checked against any schema; raises InvalidInput."""
    filter: Filter = _read(text, "start", FILTER)
    return filter


def parse_attributes(text: str) -> tuple[Condition, ...]:
    """What `ITEMS.GENRES = "Comedy" AND …` says, not yet checked against any columns; raises InvalidInput."""
    conditions: tuple[Condition, ...] = _read(text, "attributes", ATTRIBUTES)
    return conditions


def _read(text: str, start: str, what: str) -> Any:
    from lark.exceptions import UnexpectedInput

    try:
        return _parser().parse(text, start)
    except UnexpectedInput as failure:
        raise refused(text, *_wrong(failure, text), what) from None


class _Builder:
    """Makes the parts of the tree as the parser comes by them: one method a rule."""

    def start(self, parts: list[Expression]) -> Filter:
        return Filter(tuple(parts))

    def expression(self, parts: list[Any]) -> Expression:
        action, target, where, *user = parts
        return Expression(action.upper(), target.upper(), where, user[0] if user else None, at=_at(action))

    def attributes(self, parts: list[Any]) -> tuple[Condition, ...]:
        return tuple(parts[::2])

    def equality(self, parts: list[Any]) -> Condition:
        return self.condition(parts)

    def any_of(self, parts: list[Any]) -> Where:
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts[::2]), at=_at(parts[1]))

    def all_of(self, parts: list[Any]) -> Where:
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts[::2]), at=_at(parts[1]))

    def condition(self, parts: list[Any]) -> Condition:
        field, operator, operand = parts
        return Condition(field, operator.upper(), operand, at=_at(operator))

    def truth(self, parts: list[Any]) -> Condition:
        field, operator, truth = parts
        return Condition(field, "IS", Value(truth.upper() == "TRUE", at=_at(truth)), at=_at(operator))

    def not_in(self, parts: list[Token]) -> Token:
        return parts[0].update(value="NOT IN")

    def list_of(self, parts: list[Any]) -> Listed:
        return Listed(tuple(parts), at=parts[0].at)

    def operand(self, parts: list[Operand]) -> Operand:
        return parts[0]

    def field(self, parts: list[Token]) -> Field:
        dataset, column = parts
        return Field(dataset.upper(), str(column), at=_at(dataset))

    def literal(self, parts: list[Token]) -> Value | Anything:
        token = parts[0]
        if token.type == "NUMBER":
            whole = re.fullmatch(r"[+-]?\d+", token)
            return Value(int(token) if whole else float(token), at=_at(token))
        if token.type == "TRUTH":
            return Value(token.upper() == "TRUE", at=_at(token))
        text = re.sub(r"\\([\\\"'])", r"\1", token[1:-1])
        return Anything(at=_at(token)) if text == "*" else Value(text, at=_at(token))

    def placeholder(self, parts: list[Token]) -> Placeholder:
        return Placeholder(str(parts[0][1:]), at=_at(parts[0]))

    def star(self, parts: list[Token]) -> Anything:
        return Anything(at=_at(parts[0]))

    def moment(self, parts: list[Token]) -> Moment:
        now, *offset = parts
        if not offset:
            return Moment(0, at=_at(now))
        sign, count, unit = offset
        seconds = int(count) * _SECONDS[unit.upper().removesuffix("S")]
        return Moment(-seconds if sign == "-" else seconds, at=_at(now))


@lru_cache(1)
def _parser() -> Lark:
    from lark import Lark, Transformer

    builder = type("Builder", (_Builder, Transformer), {})()
    starts = ["start", "attributes"]
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", start=starts, transformer=builder, maybe_placeholders=False)


def _at(token: Token) -> int:
    return token.start_pos or 0


def _wrong(failure: UnexpectedInput, text: str) -> tuple[int, str]:
    """Where the text cannot be read on: what stands there, and what could."""
    from lark.exceptions import UnexpectedToken

    if not isinstance(failure, UnexpectedToken):
        at = failure.pos_in_stream or 0
        return at, _unreadable(text, at)
    at = len(text) if failure.token.type == "$END" else _at(failure.token)
    expected = sorted({READABLE.get(name, name) for name in failure.accepts or failure.expected})
    if READABLE["_WHERE"] in expected and failure.token.upper() == "IF":
        return at, "IF stands at the end of the expression, after WHERE and its conditions"
    if expected == [READABLE["DOT"]]:
        *_, word = re.finditer(r"\w+", text[:at])
        why = "is neither quoted, as a text must be, nor a dataset with a column, as Items.PRICE is"
        return word.start(), f"{word.group()[:50]} {why}"
    found = "the expression ends here" if at == len(text) else f"{_word(text, at)} cannot stand here"
    return at, f"{found}; expected {_either(expected)}"


def _unreadable(text: str, at: int) -> str:
    if text[at] in "\"'":
        return "this text has no closing quote"
    if text[at] in "“”„‟‘’«»":  # noqa: RUF001
        return f"{text[at]} is not a quote; write \" or '"
    return f"{_word(text, at)} is nothing that an expression can have"


def _word(text: str, at: int) -> str:
    found = re.compile(r"\w+|\S").match(text, at)
    return found.group()[:50] if found else "this"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
