"""Schemas refer to others, as deep as they like; what a registry says of them may be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import field

from esctl.errors import InputError
from esctl.sources.kafka import registry
from esctl.sources.kafka.registry import Registry


class Answers(Registry):
    """A registry of given answers, by path."""

    answers: Mapping[str, bytes] = field(default_factory=dict)

    def _answer(self, path: str) -> tuple[bool, bytes]:
        return path in self.answers, self.answers.get(path, b'{"error_code": 40401}')


def asked(answers: dict[str, Any]) -> Any:
    found = Answers("http://registry", answers={path: json.dumps(each).encode() for path, each in answers.items()})
    record = found.find("1")
    return record and json.loads(record)


def refers_to(*names: str) -> dict[str, Any]:
    references = [{"name": name, "subject": name, "version": 1} for name in names]
    return {"schema": "{}", "references": references}


def test_a_schema_comes_after_those_that_it_refers_to() -> None:
    found = asked(
        {
            "schemas/ids/1": refers_to("a", "b", "missing"),
            "subjects/a/versions/1": refers_to("c"),
            "subjects/b/versions/1": refers_to("c", "a"),
            "subjects/c/versions/1": refers_to(),
        }
    )
    assert [each["name"] for each in found["references"]] == ["c", "a", "b"]


@pytest.mark.parametrize("count", [1000, 1001])
def test_a_chain_of_references_is_followed_to_its_limit(count: int) -> None:
    chain = {f"subjects/{number}/versions/1": refers_to(str(number + 1)) for number in range(1, count)}
    answers = {"schemas/ids/1": refers_to("1"), **chain, f"subjects/{count}/versions/1": refers_to()}
    if count <= registry._MOST_REFERENCES:
        assert [int(each["name"]) for each in asked(answers)["references"]] == list(range(count, 0, -1))
    else:
        with pytest.raises(InputError, match="a schema refers to more than 1000 others"):
            asked(answers)


@pytest.mark.parametrize(
    "references",
    [
        5,
        ["a"],
        [{}],
        [{"name": "a", "subject": "a", "version": "new"}],
        [{"name": "a", "version": 1}],
        [{"name": "a", "subject": "a", "version": float("inf")}],
    ],
)
def test_references_that_name_no_schema_are_refused(references: Any) -> None:
    with pytest.raises(InputError, match=r"^http://registry: the registry answers what is no schema$"):
        asked({"schemas/ids/1": {"schema": "{}", "references": references}})


@pytest.mark.parametrize("body", [b"[" * 200_000, b"{}", b"\xff", b"nothing"])
def test_an_answer_that_is_no_schema_is_refused(body: bytes) -> None:
    with pytest.raises(InputError, match=r"^http://registry: the registry answers what is no schema$"):
        Answers("http://registry", answers={"schemas/ids/1": body}).find("1")
