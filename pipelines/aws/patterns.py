"""Java regular expressions of AWS's service models, as Python ones; AWS matches them against the whole value."""

from __future__ import annotations

import re
from functools import lru_cache

# Each stands inside or outside a character class. Python's \w is letters, numbers and the underscore of any script:
# \p{L} and \p{N} are only used in classes that name both and the underscore.
_UNICODE_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


@lru_cache(maxsize=256)
def compile_java(pattern: str) -> re.Pattern[str]:
    r"""`pattern` for `fullmatch`; raises re.error for a `\p{…}` that is not known here."""
    translated = pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]")
    unicode = r"\p{" in translated
    for java, python in _UNICODE_CLASSES.items():
        translated = translated.replace(java, python)
    return re.compile(translated, 0 if unicode else re.ASCII)  # in Java \d and \w are ASCII
