"""The same basis gives the same bytes: in another process, with other threads, another index, a log that has grown."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esctl import __version__
from esctl.api import Store
from esctl.ask.scope.basis import read_basis
from esctl.errors import UsageError
from esctl.index import chunks, merge_policy
from esctl.output import Target, write
from tests.support import effort
from tests.support.cli_harness import esctl, good, ingest_samples, plain_event, refused, write_lines

QUESTIONS: dict[str, list[str]] = {
    "replay": ["replay", "--at", "2024-03-05"],
    "replay merged": ["replay", "-p", "order"],
    "diff": ["diff", "2024-02-01", "2024-03-01"],
    "audit": ["audit", "account-0*", "--from", "2024-03-01"],
    "log": ["log"],
    "types": ["types"],
    "entities": ["entities"],
    "blame": ["blame", "account-01*"],
    "when": ["when", "balance > 20000", "-p", "account", "--every"],
    "series": ["series", "sum(balance)", "-p", "account", "--every", "1w"],
    "revert": ["revert", "account-01*", "--to", "2024-03-05"],
    "trace": ["trace", "evt-03494"],
}
GROWS = {"replay", "audit", "log", "types", "entities"}
"""The questions whose answer is another once the log has grown."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = ingest_samples(tmp_path_factory.mktemp("basis"))
    write_lines(folder / "things_bank.jsonl", [plain_event(1, "thing-1", n=1)])
    good("ingest", "things_bank.jsonl", "-q", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def grown(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the store with an event more, in a field and of a type and a source that it did not have."""
    folder = tmp_path_factory.mktemp("grown")
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    late = [
        plain_event(number, entity, amount=5, unheard="of") for number, entity in enumerate(["account-017", "thing-1"])
    ]
    write_lines(folder / "later_bank.jsonl", late)
    good("ingest", "later_bank.jsonl", cwd=folder)
    return folder


def asked(folder: Path, question: str, form: str) -> tuple[bytes, Path]:
    """Ask, and keep what is said of the basis in a file."""
    done = good(*QUESTIONS[question], "--basis", "-f", form, cwd=folder)
    file = folder / "basis.txt"
    file.write_text(done.err, encoding="utf-8")
    return done.out, file


@pytest.mark.parametrize("question", effort.some([*QUESTIONS], 6))
def test_the_same_bytes_in_another_process_and_from_a_grown_log(samples: Path, grown: Path, question: str) -> None:
    for form in ("jsonl", "csv") if question == "diff" else ("jsonl",):
        answer, basis = asked(samples, question, form)
        words = [
            word for word in QUESTIONS[question] if word not in ("--at", "--from", "--to", "2024-03-05", "2024-03-01")
        ]
        bounds = ["2024-03-01"] if question == "diff" else []
        for folder in (samples, grown):
            again = good(*words, *bounds, "--basis-from", basis, "-f", form, cwd=folder)
            assert again.out == answer
    if question in GROWS:
        assert good(*QUESTIONS[question], cwd=grown).out != good(*QUESTIONS[question], cwd=samples).out


ASKED: dict[str, Callable[[Store], Any]] = {
    "replay": lambda store: store.replay(at="2024-03-05"),
    "diff": lambda store: store.diff("2024-02-01", "2024-03-01"),
    "audit": lambda store: store.audit(from_="2024-03-01"),
    "events": lambda store: store.events(),
}


def printed(store: Store, question: str) -> bytes:
    sink = io.BytesIO()
    write(ASKED[question](store).answer, Target("jsonl", sink))
    return sink.getvalue()


@pytest.mark.thorough
def test_the_same_bytes_from_any_number_of_threads_and_any_index(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = samples / ".esctl"
    wanted = {question: printed(Store.open(path), question) for question in ASKED}
    for threads, rows, most_small in ((1, 1_000, 100), (3, 400, 3)):
        monkeypatch.setattr(chunks, "CHUNK_ROWS", rows)
        monkeypatch.setattr(merge_policy, "MOST_SMALL", most_small)
        copy = tmp_path / str(rows)
        shutil.copytree(samples, copy)
        shutil.rmtree(copy / ".esctl" / "index")
        store = Store.open(copy / ".esctl", threads=threads)
        assert {question: printed(store, question) for question in ASKED} == wanted
        assert len(store.view.manifest.files) > 1


def test_a_basis_says_what_the_answer_rests_on(samples: Path) -> None:
    status = good("status", cwd=samples).row
    done = good("replay", "account-017", "--at", "2024-03-05", "--basis", "-f", "json", cwd=samples)
    basis = json.loads(done.err.splitlines()[-1])
    assert (basis["position"], basis["root"]) == (status["head"], status["root"])
    assert basis["at"] == "2024-03-05T23:59:59.999999Z"
    assert basis["version"] == __version__
    assert basis.keys() == {"position", "root", "at", "mapping", "projection", "version", "tzdata"}
    lines = good("replay", "account-017", "--at", "2024-03-05", "--basis", "-f", "table", cwd=samples).err
    assert f"basis: position {status['head']}, at 2024-03-05T23:59:59.999999Z\nbasis: root {status['root']}\n" in lines
    quiet = good("replay", "account-017", "--basis", "-q", "-f", "json", cwd=samples)
    assert json.loads(quiet.err)["at"] is None


def test_projections_are_told_apart_by_what_they_do(samples: Path, tmp_path: Path) -> None:
    def projection(*arguments: str) -> str:
        done = good("replay", "account-017", "--basis", "-q", *arguments, cwd=samples)
        return str(json.loads(done.err)["projection"])

    changed = tmp_path / "esctl.toml"
    text = (samples / "esctl.toml").read_text(encoding="utf-8")
    changed.write_text(text + '\n[projections.other]\nkinds = ["other"]\n', encoding="utf-8")
    all_of_them, one = projection(), projection("-p", "account")
    assert len({all_of_them, one, projection("--config", str(changed))}) == 3
    assert projection("-p", "account", "--config", str(changed)) == one


def test_rules_in_another_order_are_another_projection(tmp_path: Path) -> None:
    write_lines(tmp_path / "log.jsonl", [plain_event(1, a="x", n=2)])
    rules = ['[projections.p.on."*"]\nset = { x = "data.a" }\n', '[projections.p.on."?*"]\nset = { x = "data.n" }\n']
    (tmp_path / "esctl.toml").write_text("".join(rules), encoding="utf-8")
    (tmp_path / "other.toml").write_text("".join(reversed(rules)), encoding="utf-8")
    good("ingest", "log.jsonl", "-q", cwd=tmp_path)
    first = good("replay", "--basis", "-q", "-f", "json", cwd=tmp_path)
    assert good("replay", "--config", "other.toml", cwd=tmp_path).row["state"] == {"x": "x"} != first.row["state"]
    (tmp_path / "basis.json").write_text(first.err, encoding="utf-8")
    again = ("replay", "--basis-from", "basis.json")
    assert good(*again, "-f", "json", cwd=tmp_path).out == first.out
    assert "projections" in refused(*again, "--config", "other.toml", code=2, cwd=tmp_path)[0]


def test_the_code_of_a_python_projection_belongs_to_the_basis(tmp_path: Path) -> None:
    write_lines(tmp_path / "log.jsonl", [plain_event(1)])
    (tmp_path / "esctl.toml").write_text('[projections.thing]\npython = "rules:fold"\n', encoding="utf-8")
    found = []
    for value in (1, 2):
        (tmp_path / "rules.py").write_text(f"def fold(state, event):\n    return {{'n': {value}}}\n", encoding="utf-8")
        good("ingest", "log.jsonl", "-q", cwd=tmp_path)
        found.append(json.loads(good("replay", "--basis", "-q", cwd=tmp_path).err)["projection"])
    assert found[0] != found[1]


@pytest.fixture
def basis(samples: Path) -> Path:
    return asked(samples, "replay", "json")[1]


def altered(basis: Path, folder: Path, **values: Any) -> Path:
    document = json.loads(basis.read_text(encoding="utf-8").splitlines()[-1])
    file = folder / "altered.json"
    file.write_text(json.dumps(document | values), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["position", "erased"])
def test_a_basis_of_an_endless_number_is_none(samples: Path, basis: Path, tmp_path: Path, name: str) -> None:
    file = altered(basis, tmp_path, **{name: float("inf")})
    assert "no line of it is a basis" in refused("replay", "--basis-from", file, code=2, cwd=samples)[0]


def test_a_store_that_does_not_hold_the_basis_says_so(samples: Path, basis: Path, tmp_path: Path) -> None:
    for values in ({"root": "0" * 64}, {"position": 7149}, {"position": 99999}):
        file = altered(basis, tmp_path, **values)
        message, _ = refused("replay", "--basis-from", file, code=3, cwd=samples)
        assert "does not hold the basis" in message


@pytest.mark.parametrize(
    ("values", "message"),
    [({"mapping": "0" * 16}, "mapping"), ({"projection": "0" * 16}, "projections"), ({"without": ["@1"]}, "supposes")],
)
def test_another_reading_of_the_records_is_refused(
    samples: Path, basis: Path, tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    assert message in refused("replay", "--basis-from", altered(basis, tmp_path, **values), code=2, cwd=samples)[0]


def test_bounds_come_from_the_basis_and_no_others_are_taken(samples: Path, basis: Path) -> None:
    given = good("replay", "--at", "2024-03-05T23:59:59.999999Z", "--basis-from", basis, cwd=samples).out
    assert given == good("replay", "--basis-from", basis, cwd=samples).out
    for other in (["--at", "2024-03-04"], ["--before", "2024-03-05"], ["--known-at", "@7000"]):
        message, hint = refused("replay", *other, "--basis-from", basis, "-q", code=2, cwd=samples)
        assert other[0] in message
        assert "basis" in hint


NOT_AT = (
    *("series", "when", "entities", "types", "log", "trace"),  # of QUESTIONS
    "diff", "doctor", "sql select count(*) from events", "sql select count(*) from account('2024-03-05')",
)  # fmt: skip
"""Questions that have no bound `at`, or not that one."""


@pytest.mark.parametrize("question", effort.some([*NOT_AT], 6))
def test_a_bound_that_the_question_does_not_take_is_refused(samples: Path, tmp_path: Path, question: str) -> None:
    words = QUESTIONS.get(question) or question.split(maxsplit=1)
    done = tmp_path / "told.txt"
    done.write_text(esctl(*words, "--basis", "-q", "-f", "json", cwd=samples).err, encoding="utf-8")
    message, hint = refused(
        *words, "--basis-from", altered(done, tmp_path, at="2024-03-05T00:00:00Z"), code=2, cwd=samples
    )
    assert message == "this question has no bound at 2024-03-05T00:00:00Z, and the basis has"
    assert "basis" in hint


def test_the_points_of_a_query_are_those_of_its_basis(samples: Path, basis: Path, tmp_path: Path) -> None:
    query = "select count(*) from account('2024-03-05')"
    asked = good("sql", query, "--basis", "-q", "-f", "json", cwd=samples)
    (tmp_path / "basis.json").write_text(asked.err, encoding="utf-8")
    assert good("sql", query, "--basis-from", tmp_path / "basis.json", cwd=samples).rows == asked.rows
    other = query.replace("05", "06")
    message, _ = refused("sql", other, "--basis-from", tmp_path / "basis.json", code=2, cwd=samples)
    assert message == "this question has the bound account() 2024-03-06T23:59:59.999999Z, and the basis has not"
    refused("replay", "--basis-from", tmp_path / "basis.json", code=2, cwd=samples)


def test_whether_a_condition_held_is_asked_within_the_bounds_of_a_basis(samples: Path) -> None:
    store = Store.open(samples / ".esctl")
    found = store.when("balance < 0", projection="account", from_="2024-03-01", to="2024-03-05")
    assert found.basis is not None
    again = store.on_basis(found.basis).when("balance < 0", projection="account")
    assert again.held() == found.held()
    with pytest.raises(UsageError, match="no bound"):
        store.on_basis(found.basis).blame("account-017", projection="account")


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"position": "x"}', '{"position": 1, "root": "a"}'])
def test_a_file_without_a_basis_is_refused(samples: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "basis.json"
    file.write_text(text, encoding="utf-8")
    assert str(file) in refused("replay", "--basis-from", file, code=2, cwd=samples)[0]
    assert "no such file" in refused("replay", "--basis-from", tmp_path / "none", code=2, cwd=samples)[0]


def test_a_basis_is_found_among_what_else_was_said(samples: Path, basis: Path) -> None:
    text = basis.read_text(encoding="utf-8")
    assert text.startswith("at 2024-03-05")
    assert read_basis(basis).bounds == {"at": "2024-03-05T23:59:59.999999Z"}


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00Z", "0476-09-04T12:00:00.5Z", "0999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"],
)
def test_a_basis_holds_a_time_of_any_year(tmp_path: Path, time: str) -> None:
    from tests.support.cli_harness import good, write_lines

    events = [
        {"id": n, "type": "T", "time": when, "stream": "a-1", "data": {"n": n}}
        for n, when in enumerate(("0001-01-01T00:00:00Z", time, "9999-12-31T23:59:59.999999Z"))
    ]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", cwd=tmp_path)
    first = good("replay", "--at", time, "--basis", "-q", "-f", "jsonl", cwd=tmp_path)
    (tmp_path / "basis.json").write_text(first.err.splitlines()[-1], encoding="utf-8")
    assert f'"at": "{time[:19]}' in first.err
    assert good("replay", "--basis-from", "basis.json", "-q", "-f", "jsonl", cwd=tmp_path).out == first.out
