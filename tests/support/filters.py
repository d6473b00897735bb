"""The data that the examples of spec/filters.md section 8 are about, and the examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.datasets.schema import Field
from pipelines.filters.checking import check
from pipelines.filters.parsing import parse
from pipelines.filters.tree import Filter

DATASETS: Mapping[str, Sequence[Field]] = {
    "ITEMS": (
        Field("ITEM_ID", "string"),
        Field("GENRES", "string", nullable=True, categorical=True),
        Field("BRAND", "string", nullable=True, categorical=True),
        Field("PRICE", "float"),
        Field("YEAR", "int", nullable=True),
        Field("STOCK", "string", nullable=True, categorical=True),
        Field("CREATION_TIMESTAMP", "long"),
        Field("BLURB", "string", textual=True),
        Field("ON_SALE", "boolean", nullable=True),
        Field("RATING", "float", nullable=True),
    ),
    "USERS": (
        Field("USER_ID", "string"),
        Field("AGE", "int", nullable=True),
        Field("TIER", "string", nullable=True, categorical=True),
        Field("COUNTRY", "string", nullable=True, categorical=True),
    ),
    "INTERACTIONS": (
        Field("USER_ID", "string"),
        Field("ITEM_ID", "string"),
        Field("TIMESTAMP", "long"),
        Field("EVENT_TYPE", "string"),
        Field("DEVICE", "string"),
    ),
    "ACTIONS": (
        Field("ACTION_ID", "string"),
        Field("CATEGORY", "string", categorical=True),
        Field("VALUE", "int"),
        Field("REPEAT_FREQUENCY", "int"),
    ),
    "ACTION_INTERACTIONS": (
        Field("USER_ID", "string"),
        Field("ACTION_ID", "string"),
        Field("TIMESTAMP", "long"),
        Field("EVENT_TYPE", "string"),
    ),
}

VALID: Mapping[int, str] = {
    1: 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")',
    2: 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")',
    3: 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view","cart")',
    4: 'INCLUDE ItemID WHERE Interactions.event_type IN ("PURCHASE")',
    5: "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ($SEEN)",
    6: 'INCLUDE ItemID WHERE Items.GENRES IN ("Comedy")',
    7: 'INCLUDE ItemID WHERE Items.GENRES IN ("Comedy","Drama")',
    8: 'INCLUDE ItemID WHERE Items.GENRES IN ("Comedy") AND Items.GENRES IN ("Drama")',
    9: 'EXCLUDE ItemID WHERE Items.STOCK IN ("no")',
    10: 'INCLUDE ItemID WHERE Items.BRAND NOT IN ("Acme","Zenith")',
    11: "INCLUDE ItemID WHERE Items.GENRES IN ($GENRES)",
    12: "INCLUDE ItemID WHERE Items.PRICE <= $MAX",
    13: "INCLUDE ItemID WHERE Items.PRICE >= $LOW AND Items.PRICE < $HIGH",
    14: "INCLUDE ItemID WHERE Items.YEAR >= 1970 AND Items.YEAR < 1980",
    15: "INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP > $SINCE",
    16: "EXCLUDE ItemID WHERE Items.CREATION_TIMESTAMP < 1609459200",
    17: "EXCLUDE ItemID WHERE Items.RATING < 2.5",
    18: "INCLUDE ItemID WHERE Items.YEAR = 1999",
    19: "INCLUDE ItemID WHERE Items.YEAR != 1999",
    20: 'EXCLUDE ItemID WHERE Items.GENRES IN ("Horror") OR Items.PRICE > 100',
    21: 'EXCLUDE ItemID WHERE Items.GENRES IN ("Horror") IF CurrentUser.AGE < 18',
    22: 'INCLUDE ItemID WHERE Items.BRAND IN ("Luxe") IF CurrentUser.TIER IN ("gold","platinum")',
    23: 'EXCLUDE ItemID WHERE Items.GENRES IN ($G) IF CurrentUser.AGE = $A AND CurrentUser.COUNTRY IN ("CH")',
    24: "INCLUDE ItemID WHERE Items.GENRES IN ($G) | "
    'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view","purchase")',
    25: 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase") | INCLUDE ItemID WHERE Items.STOCK IN ("yes")',
    26: 'INCLUDE ItemID WHERE Items.BRAND IN ("Acme") | INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("cart")',
    27: 'EXCLUDE ItemID WHERE Items.STOCK IN ("no") | EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")',
    28: "EXCLUDE ItemID WHERE Items.GENRES IN ($BAD) | EXCLUDE ItemID WHERE Items.PRICE > $MAX",
    29: "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE",
    30: "INCLUDE ItemID WHERE Items.GENRES IN CurrentItem.GENRES AND Items.PRICE > CurrentItem.PRICE",
    31: "EXCLUDE ItemID WHERE Items.BRAND IN CurrentItem.BRAND",
    32: "INCLUDE UserID WHERE Users.TIER IN ($TIER)",
    33: "EXCLUDE UserID WHERE Users.AGE < $MIN_AGE",
    34: 'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("purchase")',
    35: "INCLUDE ActionID WHERE Actions.VALUE > ($V)",
    36: 'EXCLUDE ActionID WHERE Action_Interactions.EVENT_TYPE IN ("TAKEN")',
    37: 'INCLUDE ActionID WHERE Actions.CATEGORY IN ("loyalty") IF CurrentUser.TIER IN ("none")',
    38: 'INCLUDE ActionID WHERE Actions.CATEGORY IN ("app") | '
    'EXCLUDE ActionID WHERE Action_Interactions.EVENT_TYPE IN ("NOT_TAKEN")',
}

INVALID: Mapping[int, tuple[str, str, str]] = {
    39: (
        'INCLUDE ItemID WHERE Items.GENRES IN ("Comedy") AND Interactions.EVENT_TYPE IN ("view")',
        "Interactions.EVENT_TYPE",
        "Items and Interactions cannot be in one expression; make it two, with | between them",
    ),
    40: ("EXCLUDE ItemID WHERE Items.BRAND NOT IN ($B)", "$B", "a placeholder cannot be used with NOT IN"),
    41: ("INCLUDE ItemID WHERE Items.BRAND IN ($A, $B)", "$A", "a list holds one placeholder alone, or literals"),
    42: ('EXCLUDE ItemID WHERE Items.BLURB IN ("funny")', "Items.BLURB", "Items.BLURB is textual"),
    43: ("INCLUDE ItemID WHERE Items.ON_SALE = true", "= true", "write Items.ON_SALE IS TRUE or IS FALSE"),
    44: (
        'EXCLUDE ItemID WHERE Interactions.DEVICE IN ("phone")',
        "Interactions.DEVICE",
        "of Interactions only EVENT_TYPE can be used, not DEVICE",
    ),
    45: ("INCLUDE ItemID WHERE CurrentUser.AGE > 18", "CurrentUser", "CurrentUser can only be tested after IF"),
    46: (
        "EXCLUDE ItemID WHERE Items.PRICE > 9 IF Items.YEAR > 2000",
        "Items.YEAR",
        "only CurrentUser can be tested after IF, not Items",
    ),
    47: (
        'EXCLUDE ItemID WHERE Items.PRICE > 9 IF CurrentUser.AGE < 18 OR CurrentUser.TIER IN ("x")',
        "OR CurrentUser",
        "conditions after IF can only be joined by AND",
    ),
    48: (
        "EXCLUDE ItemID IF CurrentUser.AGE < 18 WHERE Items.PRICE > 9",
        "IF",
        "IF stands at the end of the expression, after WHERE and its conditions",
    ),
    49: ("INCLUDE ItemID Items.PRICE < 5", "Items", "Items cannot stand here; expected WHERE"),
    50: ('INCLUDE ItemID WHERE Items.GENRES IN ("*")', '"*"', '"*" can only stand alone, in Interactions.EVENT_TYPE'),
    51: (
        "INCLUDE UserID WHERE Items.PRICE > 3",
        "Items",
        "Items cannot be used; an expression for UserID can use Users and Interactions",
    ),
    52: ("INCLUDE ItemID WHERE Items.NO_SUCH > 3", "Items.NO_SUCH", "Items has no column NO_SUCH; it has ITEM_ID, G"),
    53: (
        "EXCLUDE ActionID WHERE Actions.REPEAT_FREQUENCY > 3",
        "Actions",
        "Actions.REPEAT_FREQUENCY acts by itself and cannot be filtered by",
    ),
    54: (
        'INCLUDE ItemID WHERE Items.GENRES LIKE "Com%"',
        "LIKE",
        "LIKE cannot stand here; expected =, !=, <, <=, > or >=, IN, IS or NOT",
    ),
}
"""Expression, the text that the error points at, and what it says."""


def checked(text: str) -> Filter:
    """An expression for `DATASETS`; raises InvalidInput."""
    return check(text, parse(text), DATASETS)
