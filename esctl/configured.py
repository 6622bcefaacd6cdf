"""What a configuration says, parsed when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from esctl.model import MappingConfig

if TYPE_CHECKING:
    from esctl.config import Config
    from esctl.projection.spec import Projection


def check_overrides(config: Config, overrides: Sequence[str]) -> None:
    """Raise UsageError where `--map` and the mapping do not go together, or a condition of the mapping is none."""
    from esctl.index.envelope.mapping import override

    mapping = mapping_of(config)
    override(mapping.default, overrides)
    if "ignore" in str(config.mapping):
        from esctl.ask.scope.ignored import check_conditions

        check_conditions(mapping)


def mapping_of(config: Config) -> MappingConfig:
    """Return the mapping that a configuration gives. Raises UsageError where it is wrong."""
    from esctl.index.envelope.mapping import parse_mapping

    return parse_mapping(config.mapping, config.name) if config.mapping else MappingConfig()


def projections_of(config: Config) -> tuple[Projection, ...]:
    """Return the projections that a configuration gives. Raises UsageError where one is wrong."""
    from esctl.projection.spec import parse_projections

    return parse_projections(config.projections, config.name)
