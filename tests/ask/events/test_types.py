"""types against a count in Python: fields of many names, of several types, typed and untyped, null and marked."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_harness import good, plain_event, write_lines

VALUES = [None, 1, 1.5, 1e40, "x", "\ue000y", "\ue0005", True, [], [1], {}, {"a": None}, 10**30, -0.0, "null", "[", "{"]
NAMES = ["a", "b", "A", "c d", 'q"x', "é", "\ue000m", "x,,y", "", "0", "n.l", "a/b", "~", 'w","']


def json_type(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "number"


@pytest.mark.parametrize("regular", [True, False])
def test_types_of_fields(tmp_path: Path, regular: bool) -> None:
    draw = random.Random(3)
    expected: dict[str, dict[str, set[str]]] = {}
    for file in range(3):
        events = []
        for number in range(100):
            kind = f"T{number % 3}"
            if regular:
                data: Any = {name: draw.choice([None, number]) for name in NAMES[: 5 * file + 2]}
            else:
                data = {name: draw.choice(VALUES) for name in draw.sample(NAMES, draw.randint(0, 9))}
                data = draw.choice([None, [1], "text", 5]) if number % 20 == 0 else data
            for name, value in data.items() if isinstance(data, dict) else ():
                expected.setdefault(kind, {}).setdefault(name, set()).add(json_type(value))
            events.append(plain_event(1000 * file + number) | {"type": kind, "data": data})
        write_lines(tmp_path / f"{file}.jsonl", events)
        good("ingest", f"{file}.jsonl", "-q", cwd=tmp_path)
    for row in good("types", cwd=tmp_path).rows:
        assert row["fields"] == {name: "|".join(sorted(kinds)) for name, kinds in expected[row["type"]].items()}
        assert json.dumps(list(row["fields"])) == json.dumps(sorted(row["fields"]))


def test_a_field_is_listed_only_for_the_types_that_have_it(tmp_path: Path) -> None:
    data = {"Sold": {"price": 5, "to": "ann"}, "Moved": {"to": "bob", "tags": ["x"]}, "Seen": {"ok": True}}
    events = [plain_event(number) | {"type": kind, "data": given} for number, (kind, given) in enumerate(data.items())]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    assert {row["type"]: row["fields"] for row in good("types", cwd=tmp_path).rows} == {
        "Sold": {"price": "number", "to": "string"},
        "Moved": {"to": "string", "tags": "array"},
        "Seen": {"ok": "boolean"},
    }
