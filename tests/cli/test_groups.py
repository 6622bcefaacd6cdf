"""Options that belong together are one parameter of a command."""

from __future__ import annotations

import inspect
from typing import Annotated

import pytest
import typer

from esctl.cli.groups import Group, gather, own_parameters, spread

Loud = Annotated[bool, typer.Option("--loud")]
Times = Annotated[int, typer.Option("--times")]


class Calling(Group, frozen=True):
    loud: Loud = False
    times: Times = 1


def call(name: str, calling: Calling, last: str = "") -> None: ...


def test_a_group_stands_for_its_options_in_its_place() -> None:
    found = spread(own_parameters(call))
    assert [each.name for each in found] == ["name", "loud", "times", "last"]
    assert [each.annotation for each in found] == [str, Loud, Times, str]
    assert [each.default for each in found] == [inspect.Parameter.empty, False, 1, ""]


def test_a_command_gets_the_group_with_its_values() -> None:
    values = {"name": "ann", "loud": True, "times": 3, "last": "x"}
    assert gather(own_parameters(call), values) == {"name": "ann", "calling": Calling(True, 3), "last": "x"}


@pytest.mark.parametrize("missing", ["name", "times"])
def test_each_value_is_needed(missing: str) -> None:
    values = {"name": "ann", "loud": True, "times": 3, "last": "x"}
    with pytest.raises(KeyError):
        gather(own_parameters(call), {name: value for name, value in values.items() if name != missing})
