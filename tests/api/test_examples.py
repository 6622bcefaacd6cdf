"""Every method of the Python interface is documented with an example, and the examples are right."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from esctl import Store
from esctl.api.relation import Relation
from tests.support.cli_harness import ingest_samples

MODULES = ("asking", "changes", "emission", "events", "evidence", "relation", "states", "views")
WITHOUT = {
    # They need another thread or system, are of the inside, or are shown where a store is opened and closed.
    "cancel", "send_events", "send_states", "send_revert", "reading_options", "names",
}  # fmt: skip


def examples() -> dict[str, doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(f"esctl.api.{name}"))]
    return {test.name.removeprefix("esctl.api."): test for test in found if test.examples}


EXAMPLES = examples()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store in the working directory, with a key and a checkpoint, as the examples find it."""
    from esctl.ledger.sign.keys import new_key

    folder = ingest_samples(tmp_path_factory.mktemp("examples"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.chdir(folder)
        new_key("auditor")
        with Store.open() as opened:
            opened.checkpoint()
            yield opened


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_right(store: Store, name: str) -> None:
    told: list[str] = []
    test = EXAMPLES[name]
    test.globs = {"store": store, "Path": Path}
    doctest.DocTestRunner().run(test, out=told.append, clear_globs=False)
    assert not told, "".join(told)


def test_every_method_has_an_example() -> None:
    classes = [each for each in Store.__mro__ if each.__module__.startswith("esctl.api.")]
    classes += [Relation, *Relation.__subclasses__()]
    methods = {name for each in classes for name, member in vars(each).items() if inspect.isroutine(member)}
    own = {name.rpartition(".")[2] for name in EXAMPLES}
    assert {name for name in methods if not name.startswith("_")} - own - WITHOUT == set()
