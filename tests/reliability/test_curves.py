"""What grows with the square of keys or files is found: small curves, and the measure of them."""

from __future__ import annotations

import math

import pytest

from reliability.curves import CURVES, MOST, campaign, exponent

COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "keys": (("ingest", "logs"), ("types",)),
    "sources": (("ingest", "logs"), ("types",)),
    "fields": (("ingest", "logs"), ("diff", "2024-01-01T00:00:10", "now", "--summary")),
    "entity": (("ingest", "logs"), ("diff", "2024-01-01T00:00:10", "now", "--summary"), ("when", "position > 1")),
}
SCALES = {"fields": 0.125}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_the_exponent_of_a_power_is_told(power: float) -> None:
    costs = [1.0, *(1.0 + 3 * n**power for n in (1, 5, 25))]
    found = exponent(costs, 0.1)
    assert found is not None
    assert math.isclose(found, power, abs_tol=1e-9)
    assert (found > MOST) is (power > 1.3)


def test_what_costs_next_to_nothing_is_no_curve() -> None:
    assert exponent([1.0, 1.0, 1.0, 1.05], 0.1) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_costs_do_not_grow_with_the_square(name: str) -> None:
    commands = COMMANDS[name]
    figures = campaign([curve for curve in CURVES if curve.name == name], SCALES.get(name, 0.2), commands)
    assert figures.failures == []
    assert len(figures.costs) == len(commands)
    assert all(cost.code == 0 for costs in figures.costs.values() for cost in costs)
