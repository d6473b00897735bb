"""How filters are written: what is read, and where an error points."""

from __future__ import annotations

import pytest

from pipelines.aws.errors import InvalidInput
from pipelines.filters.parsing import parse
from pipelines.filters.tree import (
    AllOf,
    AnyOf,
    Condition,
    Expression,
    Field,
    Filter,
    Listed,
    Moment,
    Placeholder,
    Value,
)
from tests.support.filters import VALID


def where(text: str) -> object:
    return parse(f"INCLUDE ItemID WHERE {text}").expressions[0].where


def condition(column: str, operator: str, operand: object) -> Condition:
    return Condition(Field("ITEMS", column), operator, operand)  # type: ignore[arg-type]


def test_expressions_are_taken_apart() -> None:
    assert parse(
        "EXCLUDE ItemID WHERE Items.GENRES IN (\"a\", 'b') IF CurrentUser.AGE < 18 | INCLUDE ItemID WHERE Items.P = $X"
    ) == Filter(
        (
            Expression(
                "EXCLUDE",
                "ITEMID",
                condition("GENRES", "IN", Listed((Value("a"), Value("b")))),
                Condition(Field("CURRENTUSER", "AGE"), "<", Value(18)),
            ),
            Expression("INCLUDE", "ITEMID", condition("P", "=", Placeholder("X"))),
        )
    )


def test_and_binds_tighter_than_or_and_parentheses_bind_tightest() -> None:
    a, b, c = (condition(name, "=", Value(1)) for name in "ABC")
    assert where("Items.A = 1 OR Items.B = 1 AND Items.C = 1") == AnyOf((a, AllOf((b, c))))
    assert where("(Items.A = 1 OR Items.B = 1) AND Items.C = 1") == AllOf((AnyOf((a, b)), c))
    assert where("((Items.A = 1))") == a


@pytest.mark.parametrize(
    ("written", "offset"),
    [
        ("NOW()", 0),
        ("NOW() - 30 DAYS", -2_592_000),
        ("now ( ) + 1 hour", 3600),
        ("NOW()-2 weeks", -1_209_600),
        ("NOW() - 90 SECONDS", -90),
        ("NOW() - 5 MINUTES", -300),
    ],
)
def test_rolling_dates(written: str, offset: int) -> None:
    assert where(f"Items.CREATED > {written}") == condition("CREATED", ">", Moment(offset))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("2e3", 2000.0),
        ("+7", 7),
        ('"7"', "7"),
        ("12345678901234567", 12345678901234567),
    ],
)
def test_literals(written: str, value: object) -> None:
    assert where(f"Items.A = {written}") == condition("A", "=", Value(value))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"say \"hi\""', 'say "hi"'),
        (r"'it\'s'", "it's"),
        (r'"a\\b"', r"a\b"),
        (r'"a\b"', r"a\b"),
        ('"a|b, c"', "a|b, c"),
        ('""', ""),
    ],
)
def test_quoted_texts(written: str, value: str) -> None:
    assert where(f"Items.A IN ({written})") == condition("A", "IN", Listed((Value(value),)))


def test_words_of_the_language_can_be_columns_and_are_written_in_any_case() -> None:
    assert where("iTeMs.IN not in (1)") == condition("IN", "NOT IN", Listed((Value(1),)))
    assert where("Items.where = 1 and Items.Now > nOw()") == AllOf(
        (condition("where", "=", Value(1)), condition("Now", ">", Moment(0)))
    )


def test_white_space_does_not_matter() -> None:
    spaced = "\n INCLUDE\tItemID WHERE Items . A\n IN( 1 ,2 ) "
    assert parse(spaced) == parse("INCLUDE ItemID WHERE Items.A IN (1,2)")


@pytest.mark.parametrize("number", VALID)
def test_every_valid_example_is_read(number: int) -> None:
    assert parse(VALID[number]).expressions


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("", 1, "the expression ends here; expected INCLUDE or EXCLUDE"),
        ("SELECT", 1, "SELECT cannot stand here; expected INCLUDE or EXCLUDE"),
        ("INCLUDE Items", 9, "Items cannot stand here; expected ItemID, UserID or ActionID"),
        ("INCLUDE ItemID WHERE", 21, 'the expression ends here; expected "(" or a name'),
        ("INCLUDE ItemID WHERE Items.A = Acme", 32, "Acme is neither quoted, as a text must be, nor"),
        ('INCLUDE ItemID WHERE Items.A = "Acme', 32, "this text has no closing quote"),
        ("INCLUDE ItemID WHERE Items.A = “Acme”", 32, "“ is not a quote; write \" or '"),
        ("INCLUDE ItemID WHERE Items.A IN ()", 34, ") cannot stand here; expected"),
        ("INCLUDE ItemID WHERE Items.A IN (1,)", 36, ") cannot stand here; expected"),
        ("INCLUDE ItemID WHERE Items.A = 3;", 33, "; is nothing that an expression can have"),
        ("INCLUDE ItemID WHERE Items.A = 3x", 32, "3x is nothing that an expression can have"),
        ("INCLUDE ItemID WHERE Items.A > NOW() - 30", 42, "the expression ends here; expected WEEKS, DAYS, HOURS"),
        ("INCLUDE ItemID WHERE (Items.A = 3", 34, "the expression ends here; expected"),
        ("INCLUDE ItemID WHERE Items.A = 3 |", 35, "the expression ends here; expected INCLUDE or EXCLUDE"),
    ],
)
def test_an_error_says_what_stands_there_and_what_could(text: str, at: int, why: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        parse(text)
    first, shown, caret = failure.value.message.split("\n")
    assert first.startswith(f"Could not create filter. Invalid expression at character {at}: {why}")
    assert (shown, caret) == (text, " " * (at - 1) + "^")


def test_of_long_expressions_the_surroundings_are_shown_and_of_many_lines_the_line() -> None:
    long = "INCLUDE ItemID WHERE " + " AND ".join(f"Items.A = {number}" for number in range(50))
    with pytest.raises(InvalidInput) as failure:
        parse(long.replace("= 30", "~ 30"))
    _, shown, caret = failure.value.message.split("\n")
    assert (len(shown), shown[0], shown[-1], shown[len(caret) - 1]) == (122, "…", "…", "~")
    with pytest.raises(InvalidInput, match="at line 2, character 14: ~ ") as failure:
        parse("INCLUDE ItemID WHERE\n\tItems.A = 3 ~\nAND Items.B = 4")
    assert failure.value.message.split("\n")[1:] == ["\tItems.A = 3 ~", "\t            ^"]


def test_deep_nesting_is_read() -> None:
    depth = 400
    text = "INCLUDE ItemID WHERE " + "(" * depth + "Items.A = 1" + ")" * depth
    assert parse(text).expressions[0].where == condition("A", "=", Value(1))
