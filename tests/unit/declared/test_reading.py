"""A file's values, each with its line, and what is no file of ours."""

from __future__ import annotations

import pytest

from pipelines.declared.reading import Refused, read

YAML = """\
# the shop
datasetGroup:
  serviceConfig: {name: shop, on: yes}

solutions:
  - serviceConfig:
      name: "taste"
      performHPO: false
      started: 2026-01-01
      weight: 0.3
      note: null
      rest: ~
  - serviceConfig: {name: '7'}
"""


def test_yaml_says_what_json_could_say_and_every_value_has_its_line() -> None:
    found = read(YAML)
    assert found.value == {
        "datasetGroup": {"serviceConfig": {"name": "shop", "on": "yes"}},
        "solutions": [
            {
                "serviceConfig": {
                    "name": "taste",
                    "performHPO": False,
                    "started": "2026-01-01",
                    "weight": 0.3,
                    "note": None,
                    "rest": None,
                }
            },
            {"serviceConfig": {"name": "7"}},
        ],
    }
    lines = {
        "datasetGroup.serviceConfig.name": 3,
        "solutions[0].serviceConfig.started": 9,
        "solutions[1]": 13,
        "solutions[0].serviceConfig.solutionConfig.hpoConfig": 6,
        "solutions[1].campaigns[0]": 13,
        "filters": 2,
    }
    assert {path: found.line(path) for path in lines} == lines


def test_json_is_read_as_json_does_with_tabs_and_escapes() -> None:
    found = read('{\n\t"a":"x\\/\\ud83d\\ude00\\n",\n\t"b": [1e2, -3, "2026-01-01", true,\n\t\tnull]}')
    assert found.value == {"a": "x/😀\n", "b": [100.0, -3, "2026-01-01", True, None]}
    assert (found.line("a"), found.line("b"), found.line("b[4]")) == (2, 3, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: is empty"),
        ("# nothing\n", "line 1: is empty"),
        ("a: 1\nb: [1, 2\nc: 3\n", "line 3: cannot be read: expected ',' or ']'"),
        ('{"a": 1,\n "a": 2}', "line 2: a: is there twice; the first is in line 1"),
        ("a: &x {b: 1}\nc: *x\n", "line 1: c: anchors and aliases"),
        ("a: &x\n  - *x\n", r"line 1: a\[0\]: anchors and aliases"),
        ("a: !!python/name:os.system 1\n", "line 1: a: tag .* is not taken"),
        ("a: !Ref b\n", "line 1: a: tag !Ref is not taken"),
        ("? [a, b]\n: 1\n", "line 1: keys must be words"),
        ("a: 1\n---\nb: 2\n", "line 2: cannot be read: but found another document"),
        ("a: \x07\n", "line 1: cannot be read"),
    ],
)
def test_what_is_no_set_up_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        read(text)
