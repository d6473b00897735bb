"""The filter language (spec: filters.md): which items an answer may have.

    tree.py       what an expression says, as dataclasses
    grammar.py    how it is written
    parsing.py    text -> tree; what cannot be read is pointed at
    checking.py   tree -> tree with the columns' own names and types, if it fits a group's datasets
    failing.py    the one error of both

A filter is checked when it is created and never again: `columns` of what the check says is kept with it, so that it
means the same however the datasets change.

Three things are ours and not Amazon's. Every filter of theirs means here what it means there:

    INCLUDE ItemID WHERE (Items.PRICE < 5 OR Items.BRAND = "Acme") AND Items.STOCK = "yes"     parentheses
    INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP > NOW() - 30 DAYS                           rolling dates
    INCLUDE ItemID WHERE Items.ON_SALE IS TRUE                                                boolean columns

NOW() is the moment of the request in epoch seconds; WEEKS, DAYS, HOURS, MINUTES or SECONDS may be added to it or taken
from it. Considered were also `INTERVAL '30' DAY`, which is the standard's and which nobody remembers, `30d`, which looks
like a column, and bare seconds, which nobody can read. `IS TRUE` and `IS FALSE` are the standard's too; `= true` stays
refused as Amazon refuses it.

Where the sources are silent: every expression of a filter has the same target. AND binds tighter than OR. An item's cell
of Interactions.EVENT_TYPE is all types of events that the user has with it, so `IN ("view") AND ... IN ("cart")` are items
viewed and put in the cart, and `NOT IN ("purchase")` items that the user knows and did not buy: an item that the user
never touched is in no set of Interactions, as one without a row in Items is in none of Items. What users did is never
forgotten while it is in the data (Amazon forgets after three months without an import).
"""
