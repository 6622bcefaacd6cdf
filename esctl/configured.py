"""The mapping and the projections of a configuration, parsed when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from esctl.model import MappingConfig

if TYPE_CHECKING:
    from esctl.config import Config
    from esctl.projection.spec import Projection


def check_overrides(config: Config, overrides: Sequence[str]) -> None:
    """Raise UsageError if `--map` does not fit the mapping, or the mapping has an invalid condition."""
    from esctl.index.envelope.mapping import override

    mapping = mapping_of(config)
    override(mapping.default, overrides)
    if "ignore" in str(config.mapping):
        from esctl.ask.scope.ignored import check_conditions

        check_conditions(mapping)


def mapping_of(config: Config) -> MappingConfig:
    """Return the mapping of a configuration. Raises UsageError if it is wrong."""
    from esctl.index.envelope.mapping import parse_mapping

    return parse_mapping(config.mapping, config.name) if config.mapping else MappingConfig()


def projections_of(config: Config) -> tuple[Projection, ...]:
    """Return the projections of a configuration. Raises UsageError if one is wrong."""
    from esctl.projection.spec import parse_projections

    return parse_projections(config.projections, config.name)
