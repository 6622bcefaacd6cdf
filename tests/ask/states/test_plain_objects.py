"""Objects of payload fields and constants are read without the SQL parser, and mean what it reads."""

from __future__ import annotations

import pytest

from esctl.errors import UsageError
from esctl.projection import expressions
from esctl.projection.expressions import Expression
from esctl.projection.syntax import Path
from esctl.projection.values import Value, from_json

PLAIN = [
    "{'owner': data.owner, 'balance': 0, 'status': 'open'}",
    "{ 'a' : data.x.list , 'b':1.50,'c':'x, y: z' }",
    "{'a': true, 'b': data.a, 'c': data.a, 'x y': 'data.q'}",
    "{'a': 'it is, well', 'data': data.order.case}",
]
OTHER = [
    "{'a': data.x + 1}", "{'a': data.x, 'a': 1}", "{'a': null}", "{'a': -1}", "{'a': {'b': 1}}", "{'a': [1]}",
    "{'a': 'it''s'}",
    "{'a': '{}'}", "{'a': type}", "{a: 1}", "{'a': data.\"x\"}", "{'a': 1.2.3}", "{'a': data.x[0]}", "{'a': 1} ",
]  # fmt: skip


def resolve(path: Path) -> Value:
    if "gone" in path:
        raise UsageError(f"no {path}")
    return from_json(f"read({'.'.join(map(str, path))})", ".".join(map(str, path)))


def meaning(text: str) -> tuple[object, ...]:
    read = Expression(text, "here")
    return (
        read.compile(resolve), read.path, read.paths(), read.copied_paths(), read.members(resolve),
        read.members(resolve, {"a"}), read.words() >= {part for path in read.paths() for part in path},
    )  # fmt: skip


@pytest.mark.parametrize("text", [*PLAIN, *OTHER])
def test_an_object_means_what_the_parser_reads(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> tuple[object, ...] | str:
        try:
            return meaning(text)
        except UsageError as error:
            return error.message

    plain = read()
    monkeypatch.setattr(expressions, "_plain_object", lambda text, where: None)
    assert plain == read()


def test_what_is_wrong_with_a_member_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for patched in (False, True):
        if patched:
            monkeypatch.setattr(expressions, "_plain_object", lambda text, where: None)
        with pytest.raises(UsageError) as raised:
            Expression("{'a': data.gone}", "here").compile(resolve)
        told.append(raised.value.message)
    assert told[0] == told[1]


def test_the_parser_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(text: str, where: str) -> None:
        raise AssertionError(text)

    monkeypatch.setattr(expressions, "parse", parse)
    for text in PLAIN:
        meaning(text)
