"""Which fields a schema must have and may reserve, by dataset type and domain (spec/datasets.md sections 2.1 to 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fixed:
    """What a required or reserved field must look like."""

    type: str | tuple[str, ...]
    """One type, or those of which one must be."""
    nullable: bool = True
    categorical: bool | None = False
    """True: must be; False: must not be; None: either."""
    textual: bool | None = False


@dataclass(frozen=True)
class Rules:
    """What a schema of one dataset type must look like."""

    required: Mapping[str, Fixed]
    reserved: Mapping[str, Fixed] = field(default_factory=dict)
    one_of: tuple[tuple[str, ...], ...] = ()
    """Of each tuple one field must be there: names that the developer guide uses for the same thing."""
    needs_metadata: bool = False
    """At least one field besides the id."""
    needs_usable: bool = False
    """At least one field that is categorical or a number."""
    most_metadata: int | None = None
    """How many fields may be neither required nor reserved."""
    most_fields: int | None = None
    """How many fields there may be in all."""


_ID = Fixed("string", nullable=False)
_TIME = Fixed("long", nullable=False)
_CATEGORY = Fixed("string", categorical=True)
_NULLABLE_STRING = Fixed("string")

_INTERACTIONS = {"USER_ID": _ID, "ITEM_ID": _ID, "TIMESTAMP": _TIME}
_EVENTS = {
    "EVENT_TYPE": _NULLABLE_STRING,
    "EVENT_VALUE": Fixed("float"),
    "IMPRESSION": _NULLABLE_STRING,
    "RECOMMENDATION_ID": _NULLABLE_STRING,
    "EVENT_ATTRIBUTION_SOURCE": _NULLABLE_STRING,
}
_CREATED = {"CREATION_TIMESTAMP": Fixed("long")}
# Names and roles are documented, types are not: any number is taken.
_NUMBER = Fixed(("int", "long", "float", "double"))
_ACTIONS = {
    "VALUE": _NUMBER,
    "REPEAT_FREQUENCY": Fixed(("int", "long")),
    "ACTION_EXPIRATION_TIMESTAMP": Fixed("long"),
    "CREATION_TIMESTAMP": Fixed("long"),
}
_DESCRIPTION = {"PRODUCT_DESCRIPTION": Fixed("string", textual=True)}

_CUSTOM = {
    "INTERACTIONS": Rules(_INTERACTIONS, _EVENTS, most_metadata=5),
    "USERS": Rules({"USER_ID": _ID}, needs_metadata=True, most_metadata=25),
    "ITEMS": Rules({"ITEM_ID": _ID}, _CREATED, needs_metadata=True, most_metadata=100),
    # Columns of Actions are counted with the reserved ones (spec/resources.md section 6).
    "ACTIONS": Rules({"ACTION_ID": _ID}, _ACTIONS, needs_metadata=True, needs_usable=True, most_fields=10),
    "ACTION_INTERACTIONS": Rules(
        {"USER_ID": _ID, "ACTION_ID": _ID, "TIMESTAMP": _TIME, "EVENT_TYPE": _ID},
        {"RECOMMENDATION_ID": _NULLABLE_STRING},
    ),
}
_DOMAIN_INTERACTIONS = Rules({**_INTERACTIONS, "EVENT_TYPE": _ID}, _EVENTS, most_metadata=5)
_VIDEO_ON_DEMAND = {
    "INTERACTIONS": _DOMAIN_INTERACTIONS,
    "USERS": Rules({"USER_ID": _ID}, {"SUBSCRIPTION_MODEL": _CATEGORY}, needs_metadata=True, most_metadata=25),
    "ITEMS": Rules(
        {"ITEM_ID": _ID, "CREATION_TIMESTAMP": _TIME},
        {
            **dict.fromkeys(("GENRES", "GENRES_L1", "GENRE_L2", "GENRE_L3"), _CATEGORY),
            **dict.fromkeys(("CONTENT_OWNER", "CONTENT_CLASSIFICATION"), _CATEGORY),
            **dict.fromkeys(("PRICE", "DURATION", "AVERAGE_RATING"), Fixed("float")),
            **_DESCRIPTION,
        },
        one_of=(("GENRES", "GENRES_L1"),),
        needs_metadata=True,
        most_metadata=100,
    ),
}
_ECOMMERCE = {
    "INTERACTIONS": _DOMAIN_INTERACTIONS,
    "USERS": Rules({"USER_ID": _ID}, needs_metadata=True, most_metadata=25),
    "ITEMS": Rules(
        {"ITEM_ID": _ID, "PRICE": Fixed("float"), "CATEGORY_L1": _CATEGORY},
        {
            **dict.fromkeys(("CATEGORY_L2", "CATEGORY_L3", "AGE_GROUP", "ADULT", "GENDER"), _CATEGORY),
            **_CREATED,
            **_DESCRIPTION,
        },
        needs_metadata=True,
        most_metadata=100,
    ),
}

RULES: Mapping[str | None, Mapping[str, Rules]] = {
    None: _CUSTOM,
    "VIDEO_ON_DEMAND": _VIDEO_ON_DEMAND,
    "ECOMMERCE": _ECOMMERCE,
}
