"""Findings as SARIF and JUnit XML: valid by other people's schemas and readers, whatever the log says."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from typing import Any

import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.engine.quoting import literal
from esctl.errors import UsageError
from esctl.model import Answer, Column, Findings
from esctl.output import Target, choose_format, write
from esctl.output.text import visible
from tests.support import findings_schemas
from tests.support.output_answers import HOSTILE_TEXTS, RULES, hostile_answer, session, state_answer, written

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x0b\x1b<>&]\"'{}[]()\ufffe\uffff"))


def answer_of(rows: list[tuple[str | None, str | None, str | None]], rules: tuple[tuple[str, str], ...]) -> Answer:
    values = ", ".join(f"({i}, {', '.join(map(literal, row))})" for i, row in enumerate(rows))
    sql = f"SELECT r, m, p FROM (VALUES {values}) v(i, r, m, p) ORDER BY i" if rows else "SELECT '', '', '' WHERE false"
    columns = (Column("r", "text"), Column("m", "text"), Column("p", "text"))
    return Answer(session(), sql, columns, title="checks", findings=Findings(rules, "r", "m", "p"))


def sarif(answer: Answer, **options: Any) -> dict[str, Any]:
    return findings_schemas.sarif(written(answer, Target(format="sarif", **options)))


def junit(answer: Answer, **options: Any) -> ET.Element:
    return findings_schemas.junit(written(answer, Target(format="junit", **options)))


def plain(message: str) -> str:
    """Read a SARIF message as a viewer does: SARIF 3.11.5 and 3.11.6."""
    return message.replace("{{", "{").replace("}}", "}")


def test_sarif_has_every_rule_and_a_result_for_each_finding() -> None:
    run = sarif(answer_of([("late", "came late", "account-1"), ("odd", None, None)], (("late", "is late"), ("x", "y"))))
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["late", "x"]
    assert run["results"] == [
        {
            "ruleId": "late",
            "ruleIndex": 0,
            "level": "error",
            "message": {"text": "came late"},
            "locations": [{"logicalLocations": [{"fullyQualifiedName": "account-1"}]}],
        },
        {"ruleId": "odd", "level": "error", "message": {"text": "odd"}},
    ]


def test_junit_has_a_case_for_each_rule_which_fails_where_a_row_breaks_it() -> None:
    root = junit(
        answer_of([("late", "came late", "account-1"), ("late", "too", None)], (("late", "is late"), ("x", "y")))
    )
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")
    failed, passed = root.iter("testcase")
    assert (failed.attrib, passed.attrib) == (
        {"classname": "checks", "name": "late"},
        {"classname": "checks", "name": "x"},
    )
    assert len(passed) == 0
    assert failed[0].attrib == {"type": "late", "message": "is late"}
    assert failed[0].text == "account-1: came late\ntoo"


def test_a_row_without_a_rule_is_no_finding() -> None:
    answer = answer_of([(None, "fine", "account-1")], RULES)
    assert sarif(answer)["results"] == []
    assert junit(answer).attrib["failures"] == "0"


@pytest.mark.parametrize("rows", [[], [("hostile", text, text) for text in HOSTILE_TEXTS]])
def test_hostile_text_leaves_both_valid(rows: list[tuple[str | None, str | None, str | None]]) -> None:
    answer = answer_of(rows, RULES)
    results = sarif(answer)["results"]
    assert [
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        for result in results
        if "locations" in result
    ] == [text for _, text, _ in rows if text]
    suites = junitparser.JUnitXml.fromstring(written(answer, Target(format="junit")).decode())
    assert (suites.tests, suites.failures) == (2, min(1, len(rows)))
    read = [case.result[0].text for suite in suites for case in suite if case.result]
    assert read == ["\n".join(f"{visible(t)}: {visible(t)}" if t else "" for _, t, _ in rows)] * min(1, len(rows))


@given(st.lists(st.tuples(st.sampled_from(["hostile", "kept", "else"]), ANY_TEXT, ANY_TEXT), max_size=4), ANY_TEXT)
@settings(max_examples=60)
def test_any_text_is_reported_in_valid_documents(rows: list[tuple[str, str, str]], rule: str) -> None:
    answer = answer_of([*rows], ((rule or "none", rule), *RULES))
    results = sarif(answer)["results"]
    assert [result["ruleId"] for result in results] == [row[0] for row in rows]
    for result, (_, message, _) in zip(results, rows, strict=True):
        assert not message or plain(result["message"]["text"]).replace("\\[", "[") == message.replace("\\[", "[")
    assert int(junit(answer).attrib["failures"]) == len({row[0] for row in rows})


def test_sarif_text_is_no_placeholder_and_no_link() -> None:
    text = sarif(answer_of([("late", '{0} [go](http://evil.example) [a] {"b": [1]}', None)], RULES))["results"][0]
    assert text["message"]["text"] == '{{0}} \\[go](http://evil.example) [a] {{"b": [1]}}'


def test_a_failure_lists_a_bounded_number_of_findings() -> None:
    answer = replace(answer_of([], RULES), sql="SELECT 'kept', 'm' || i, NULL FROM range(5000) t(i)", title="")
    failed = next(junit(answer).iter("failure"))
    assert failed.text is not None
    lines = failed.text.splitlines()
    assert (len(lines), lines[-1]) == (1001, "and 4000 more")
    assert len(sarif(answer)["results"]) == 5000


def test_no_limit_lets_a_broken_rule_look_as_if_it_held() -> None:
    answer = answer_of([("late", "came late", None), ("late", "too", None), ("odd", "o", None)], (("late", ""), *RULES))
    for limit in (0, 1):
        assert len(sarif(answer, limit=limit)["results"]) == 3
        assert junit(answer, limit=limit).attrib["failures"] == "2"


def test_a_rule_that_could_not_be_checked_is_neither_broken_nor_held() -> None:
    answer = answer_of([("late", "no <clock>", None), ("odd", "is odd", None)], (("late", "is late"), ("odd", "")))
    known = replace(answer.findings, rule="CASE WHEN r = 'odd' THEN r END", skipped="CASE WHEN r = 'late' THEN r END")
    answer = replace(answer, findings=known)
    root = junit(answer)
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")
    assert root[0].attrib["skipped"] == "1"
    (skipped,) = root.iter("skipped")
    assert skipped.attrib == {"message": "no <clock>"}
    first, second = sarif(answer)["results"]
    assert (first["kind"], first["level"], first["message"]["text"]) == ("open", "none", "no <clock>")
    assert ("kind" in second, second["level"]) == (False, "error")


@pytest.mark.parametrize("form", ["sarif", "junit"])
def test_an_answer_without_findings_is_refused_before_anything_is_written(form: str) -> None:
    buffer = io.BytesIO()
    with pytest.raises(UsageError) as caught:
        write(replace(state_answer(), title="states"), Target(format=form, destination=buffer))
    assert caught.value.message == f"states has no findings to report as {form}"
    assert "doctor, when, reconcile and the verify commands" in caught.value.hint
    assert buffer.getvalue() == b""


def test_the_suffix_names_the_format(tmp_path: Any) -> None:
    assert choose_format(None, tmp_path / "a.sarif", {}, None, terminal=False) == "sarif"
    assert choose_format(None, tmp_path / "a.xml", {}, None, terminal=False) == "junit"


@pytest.mark.parametrize("form", ["sarif", "junit"])
def test_the_same_answer_is_the_same_bytes(form: str) -> None:
    assert written(hostile_answer(), Target(format=form)) == written(hostile_answer(), Target(format=form))
