"""How the columns of a table share the width: names stay whole, what can be spared goes, blocks where that is less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import json

    path = tmp_path_factory.mktemp("layout")
    chain = [
        {"id": f"e-{n}", "type": "PaymentSettled", "time": f"2024-03-01T09:0{n}:00Z", "stream": "order-1",
         "actor": "payments", "causation_id": f"e-{n - 1}" if n else None, "data": {"n": n}}
        for n in range(5)
    ]  # fmt: skip
    long = {
        "id": "e-9", "type": "Scaled", "time": "2024-03-01T10:00:00Z", "stream": "deployments/production/api",
        "actor": "system:serviceaccount", "data": {"image": "registry/api:39", **{f"field_{n}": n for n in range(12)}},
    }  # fmt: skip
    (path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in [*chain, long]))
    good("ingest", "a.jsonl", cwd=path)
    return path


def shown(folder: Path, width: int, *words: str) -> list[str]:
    return good(*words, "-f", "table", cwd=folder, COLUMNS=str(width)).out.decode().splitlines()


def test_a_tree_keeps_its_shape_and_columns_that_can_be_spared_are_named(folder: Path) -> None:
    lines = shown(folder, 80, "trace", "e-3")
    assert any("           └─ PaymentSettled  order-1  payments" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert lines[-1].endswith("no room for: id, link")
    assert "no room" not in shown(folder, 120, "trace", "e-3")[-1]


def test_columns_that_were_asked_for_are_not_left_out(folder: Path) -> None:
    asked = "position,time,tree,entity,actor,id,link,source"
    assert "no room" not in shown(folder, 60, "trace", "e-3", "--columns", asked)[-1]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_names_are_not_folded_and_no_line_is_too_long(folder: Path, width: int) -> None:
    lines = shown(folder, width, "audit", "deployments/production/api")
    assert any("deployments/production/api" in line for line in lines) or width < 41
    assert max(map(len, lines)) <= width


def test_what_would_be_folded_into_more_lines_stands_below_one_another(folder: Path) -> None:
    assert "entity      deployments/production/api" in shown(folder, 80, "audit", "deployments/production/api")
    assert not any(line.startswith("entity ") for line in shown(folder, 80, "audit", "order-1"))


def test_fields_of_a_type_run_on_in_a_line(folder: Path) -> None:
    lines = shown(folder, 200, "types")
    assert any("field_0 number, field_1 number, field_10 number" in line for line in lines)


def test_one_row_of_more_is_the_first(folder: Path) -> None:
    assert shown(folder, 80, "log", "--limit", "1")[-1].startswith("the first row, as --limit says")
