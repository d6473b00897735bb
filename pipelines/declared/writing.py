"""Values to YAML that reading.py reads as the same values."""

from __future__ import annotations

from typing import Any

import yaml

from pipelines.declared.reading import is_literal


class _Dumper(yaml.SafeDumper):
    """Quotes text that a plain word would not be (`1e-5` is text to YAML, a number here), and writes no anchors."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = '"' if is_literal(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(found: Any) -> str:
    """Keys in the order given."""
    text: str = yaml.dump(found, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
