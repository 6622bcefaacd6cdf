"""Groups of options: a struct whose fields are options is one parameter of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

Parameter = inspect.Parameter


class Group(Struct, frozen=True):
    """Options that belong together; each field has a default, and is annotated as a parameter of a command would be."""


def own_parameters(function: Callable[..., Any]) -> list[Parameter]:
    """List the parameters of a function, their annotations resolved."""
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function).parameters.values()
    return [each.replace(annotation=hints.get(each.name, each.annotation)) for each in signature]


def spread(parameters: Sequence[Parameter]) -> list[Parameter]:
    """List the parameters with the options of each group in its place."""
    return [one for each in parameters for one in (_options(each.annotation) if _is_group(each) else [each])]


def gather(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each parameter; for a group, an instance with the values of its options."""
    return {
        each.name: (
            each.annotation(**{name: values[name] for name in each.annotation.__struct_fields__})
            if _is_group(each)
            else values[each.name]
        )
        for each in parameters
    }


def _is_group(parameter: Parameter) -> bool:
    return isinstance(parameter.annotation, type) and issubclass(parameter.annotation, Group)


def _options(group: type[Group]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=_default(each), annotation=hints[each.name])
        for each in fields(group)
    ]


def _default(field: Any) -> Any:
    return field.default if field.default is not NODEFAULT else Parameter.empty
