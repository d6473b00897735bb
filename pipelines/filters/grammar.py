"""How a filter is written (spec: filters.md section 2), for lark, and itemAttributes (runtime.md section 8) beside it.

It takes more than the language allows: what is wrong in a way that has a name (a placeholder after NOT IN, an IF that
tests an item) is read here and refused in checking.py, which can say so.
"""

# Unlike AWS, serving: filters can also have parentheses, dates that roll (`> NOW() - 30 DAYS`) and boolean columns
# (`IS TRUE`). Without them such conditions need one filter for each case or a new value with every request; whatever
# AWS takes means the same here, and what it refuses is not written so.
GRAMMAR = r"""
start: expression ("|" expression)*
expression: ACTION TARGET _WHERE any_of (_IF any_of)?
attributes: equality (AND equality)*
equality: field COMPARED literal

any_of: all_of (OR all_of)*
all_of: term (AND term)*
?term: condition | "(" any_of ")"

condition: field (IN | not_in) list_of        -> condition
         | field IN field                    -> condition
         | field COMPARED operand            -> condition
         | field IS TRUTH                    -> truth
not_in: NOT IN
list_of: "(" listed ("," listed)* ")"
?listed: literal | placeholder | star
?operand: literal | placeholder | "(" placeholder ")" | field | moment
field: NAME "." NAME

literal: STRING | NUMBER | TRUTH
placeholder: PLACEHOLDER
star: STAR
moment: NOW "(" ")" (SIGN COUNT UNIT)?

ACTION: /(INCLUDE|EXCLUDE)\b/i
TARGET: /(Item|User|Action)ID\b/i
_WHERE: /WHERE\b/i
_IF: /IF\b/i
AND: /AND\b/i
OR: /OR\b/i
NOT: /NOT\b/i
IN: /IN\b/i
IS: /IS\b/i
NOW.2: /NOW(?=\s*\()/i
TRUTH.2: /(TRUE|FALSE)\b(?!\s*\.)/i
UNIT: /(SECOND|MINUTE|HOUR|DAY|WEEK)S?\b/i
COMPARED: "!=" | "<=" | ">=" | "=" | "<" | ">"
SIGN: "+" | "-"
COUNT: /\d{1,9}\b/
STAR: "*"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
PLACEHOLDER: /\$[A-Za-z0-9_]+/
NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![A-Za-z0-9_.])/
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s

%ignore /\s+/
"""

READABLE = {
    "ACTION": "INCLUDE or EXCLUDE",
    "TARGET": "ItemID, UserID or ActionID",
    "_WHERE": "WHERE",
    "_IF": "IF",
    "NAME": "a name",
    "STRING": "a quoted text",
    "NUMBER": "a number",
    "TRUTH": "true or false",
    "PLACEHOLDER": "a placeholder",
    "COMPARED": "=, !=, <, <=, > or >=",
    "STAR": '"*"',
    "NOW": "NOW()",
    "SIGN": "+ or -",
    "COUNT": "a whole number",
    "UNIT": "WEEKS, DAYS, HOURS, MINUTES or SECONDS",
    "LPAR": '"("',
    "RPAR": '")"',
    "COMMA": "a comma",
    "DOT": "a dot and a column",
    "VBAR": "|",
    "$END": "the end",
}
"""Terminals as people call them, those that are not called by what is written."""
