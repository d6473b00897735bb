"""What a filter compares with: literals as a column's cells are, and columns as a message names them.

A room of its own because requests need it too: serving knows no schemas.
"""

from __future__ import annotations

import math

from pipelines.aws.numbers import decimal_number
from pipelines.filters.tree import ACTION_INTERACTIONS, CURRENT_ITEM, CURRENT_USER, INTERACTIONS, Field, Scalar

NUMBERS = ("int", "long", "float", "double")
EVENTS = (INTERACTIONS, ACTION_INTERACTIONS)

SPELLED = {
    "ITEMS": "Items",
    "USERS": "Users",
    "ACTIONS": "Actions",
    INTERACTIONS: "Interactions",
    ACTION_INTERACTIONS: "Action_Interactions",
    CURRENT_USER: "CurrentUser",
    CURRENT_ITEM: "CurrentItem",
    "ITEMID": "ItemID",
    "USERID": "UserID",
    "ACTIONID": "ActionID",
}


def literal(field: Field, value: Scalar) -> Scalar:
    """A value as a column's cells are; raises ValueError, which says what is wrong with it."""
    if field.type in NUMBERS:
        number = decimal_number(value) if isinstance(value, str) else value
        if number is None or isinstance(number, bool):
            raise ValueError(f"{named(field)} is a number, and {value!r} is not")
        if isinstance(value, str) and value.strip("+-").isdigit():
            return int(value)
        if not math.isfinite(number):
            raise ValueError("the number is too large")
        return number
    if not isinstance(value, str):
        raise ValueError(f"{named(field)} is a text, and {value} is not in quotes")
    return value.casefold() if field.dataset in EVENTS else value


def named(field: Field) -> str:
    """`Items.PRICE`."""
    return f"{SPELLED[field.dataset]}.{field.column}"
