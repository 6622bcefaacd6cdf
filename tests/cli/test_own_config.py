"""A store is read with its own esctl.toml, whichever folder one stands in, and which that is is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import esctl, good, plain_event, write_lines

PROJECTION = "[projections.thing]\non.Changed = {{ set.{field} = 'data.n' }}\n"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Make a folder with a store, and another with an esctl.toml that is none of its business."""
    home, here = tmp_path / "home" / "deep", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir(parents=True)
    write_lines(home / "a.jsonl", [plain_event(1)])
    good("ingest", "a.jsonl", "-q", cwd=home)
    (here / "esctl.toml").write_text(PROJECTION.format(field="theirs"))
    return home, here


def test_the_configuration_of_the_folder_one_stands_in_is_not_that_of_a_store_elsewhere(
    folders: tuple[Path, Path],
) -> None:
    home, here = folders
    done = good("replay", "--store", home / ".esctl", cwd=here)
    assert done.row["state"] == {"n": 1}
    assert done.err == (
        f"note: {here / 'esctl.toml'} is not that of the store {home / '.esctl'}, and is not used: the store has none; "
        f"to use it: --config {here / 'esctl.toml'}\n"
    )
    named = good("replay", "--store", home / ".esctl", "--config", "esctl.toml", cwd=here)
    assert (named.row["state"], named.err) == ({"theirs": 1}, "")
    assert good("replay", "-q", "--store", home / ".esctl", cwd=here).err == ""


@pytest.mark.parametrize("place", ["beside", "above"])
@pytest.mark.parametrize("variable", [False, True])
def test_a_store_has_its_own_from_wherever_it_is_asked(folders: tuple[Path, Path], place: str, variable: bool) -> None:
    home, here = folders
    own = (home if place == "beside" else home.parent) / "esctl.toml"
    own.write_text(PROJECTION.format(field="own"))
    named = {"ESCTL_STORE": "../home/deep/.esctl"} if variable else {}
    arguments = () if variable else ("--store", "../home/deep/.esctl")
    done = good("replay", *arguments, cwd=here, **named)
    assert done.row["state"] == {"own": 1}
    assert f"not used: {own} is used, as it is the store's" in done.err
    assert good("replay", cwd=home).row["state"] == {"own": 1}
    shown = {row["setting"]: row["value"] for row in good("config", "show", *arguments, cwd=here, **named).rows}
    assert (shown["config found"], shown["config not used"]) == (str(own), str(here / "esctl.toml"))


def test_a_folder_below_that_of_the_store_has_the_same_configuration(folders: tuple[Path, Path]) -> None:
    home, _ = folders
    (home / "esctl.toml").write_text(PROJECTION.format(field="own"))
    below = home / "below"
    below.mkdir()
    assert (good("replay", cwd=below).row["state"], good("replay", cwd=below).err) == ({"own": 1}, "")


def test_a_new_store_elsewhere_is_told_of_too(folders: tuple[Path, Path]) -> None:
    home, here = folders
    done = esctl("ingest", home / "a.jsonl", "--store", home / "other", cwd=here)
    assert done.code == 0
    assert "is not that of the store" in done.err


def test_live_sources_are_shown_without_their_secrets(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text(
        '[sources.orders]\nkafka = "broker:9092/orders"\nfrom = "beginning"\nregistry = "https://me:sesame@host/x"\n'
        '[sources.orders.property]\n"client.id" = "auditor"\n"sasl.password" = "sesame"\n'
        '"ssl.key.password" = "${KEY}"\n[sources.rows]\npostgres = "me:sesame@db/bank?slot=s&publication=p"\n'
    )
    done = good("config", "show", cwd=tmp_path)
    found = {row["setting"]: row["value"] for row in done.rows if row["setting"].startswith("sources.")}
    assert found == {
        "sources.orders.kafka": "kafka://broker:9092/orders",
        "sources.orders.from": "beginning",
        "sources.orders.registry": "https://host/x",
        "sources.orders.property.client.id": "auditor",
        "sources.orders.property.sasl.password": "(not shown)",
        "sources.orders.property.ssl.key.password": "${KEY}",
        "sources.rows.postgres": "postgres://db/bank",
    }
    assert "sesame" not in done.text
