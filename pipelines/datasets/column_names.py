"""What people call the columns that a recommender needs, and what those are called in a schema."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.datasets.schema import (
    ACTION_ID,
    CREATION_TIMESTAMP,
    EVENT_TYPE,
    EVENT_VALUE,
    ITEM_ID,
    TIMESTAMP,
    USER_ID,
    DatasetType,
)

# Without underscores, in lower case; the first that a file has is taken.
_USER = "userid user uid customerid customer visitorid memberid accountid clientid reviewerid personid profileid subscriberid"
_ITEM = (
    "itemid item productid product movieid movie filmid videoid showid articleid article newsid contentid trackid songid "
    "artistid bookid isbn asin parentasin sku gameid postid listingid hotelid courseid recipeid businessid iid"
)
_TIME = (
    "timestamp eventtimestamp eventtime unixtimestamp unixreviewtime ts time datetime eventdate date sentat occurredat "
    "createdat viewedat purchasedat orderdate epoch"
)
_TYPE = "eventtype eventname event interactiontype behaviortype behavior behaviour activity actiontype type"
_CREATED = "creationtimestamp createdat created releasetimestamp releasedate publishedat publishdate addedat dateadded"
_VALUE = "eventvalue rating stars score overall"

_EVENT_ROLES = {
    TIMESTAMP: _TIME,
    EVENT_TYPE: _TYPE,
    "RECOMMENDATION_ID": "recommendationid",
}
ROLES: dict[DatasetType, dict[str, str]] = {
    "INTERACTIONS": {
        USER_ID: _USER,
        ITEM_ID: _ITEM,
        **_EVENT_ROLES,
        EVENT_VALUE: _VALUE,
        "IMPRESSION": "impression impressions",
        "EVENT_ATTRIBUTION_SOURCE": "eventattributionsource",
    },
    "ITEMS": {ITEM_ID: f"{_ITEM} id", CREATION_TIMESTAMP: _CREATED},
    "USERS": {USER_ID: f"{_USER} id"},
    "ACTIONS": {
        ACTION_ID: "actionid action id",
        CREATION_TIMESTAMP: _CREATED,
        "VALUE": "value actionvalue",
        "REPEAT_FREQUENCY": "repeatfrequency",
        "ACTION_EXPIRATION_TIMESTAMP": "actionexpirationtimestamp expirationtimestamp expiresat",
    },
    "ACTION_INTERACTIONS": {USER_ID: _USER, ACTION_ID: "actionid action", **_EVENT_ROLES},
}
_BY_FILE: dict[DatasetType, str] = {
    "USERS": "user customer member visitor account",
    "ITEMS": "item product movie article catalog film video song track book",
    "ACTIONS": "action offer",
}


def bare(name: str) -> str:
    """`User ID`, `user_id` and `userId` are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def roles(header: Sequence[str], dataset_type: DatasetType) -> dict[str, str]:
    """Field -> the header's column that plays it, for the fields that a type knows."""
    there: dict[str, str] = {}
    for column in header:
        there.setdefault(bare(column), column)
    found: dict[str, str] = {}
    for field, names in ROLES[dataset_type].items():
        column = next(
            (there[name] for name in names.split() if name in there and there[name] not in found.values()), ""
        )
        if column:
            found[field] = column
    return found


def dataset_type(header: Sequence[str], file_name: str) -> DatasetType | None:
    """Which type a table with this header holds; `file_name` decides about a plain `id`. None: cannot be told."""
    names = {bare(column) for column in header}

    def has(known: str) -> bool:
        return bool(names & set(known.split()))

    if has("actionid"):
        return "ACTION_INTERACTIONS" if has(_USER) else "ACTIONS"
    if has(_USER):
        return "INTERACTIONS" if has(_ITEM) else "USERS"
    if has(_ITEM):
        return "ITEMS"
    if "id" in names:
        return next(
            (kind for kind, words in _BY_FILE.items() if any(w in file_name.lower() for w in words.split())), None
        )
    return None


def field_name(column: str) -> str:
    """A column's name as schemas write names: `unitPrice (EUR)` -> UNIT_PRICE_EUR; empty when nothing is left of it."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", column)
    name = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").upper()[:150]
    return f"C_{name}" if name[:1].isdigit() else name
