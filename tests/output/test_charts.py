"""Series as pictures: exact in words, inert whatever is in the log, the same bytes each time, axes in whole steps."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from esctl import Store
from esctl.api.states import SeriesRelation
from esctl.errors import UsageError
from esctl.output.charts import points
from esctl.output.charts.points import Lines, Point
from esctl.output.charts.spec import Words, chart
from esctl.output.charts.terminal import _time_axis, _time_limits, _value_axis, runs
from tests.support.cli_harness import good, plain_event, refused, write_lines

WIDE = "12345678901234567890.12345"
HOSTILE = "</title><script>alert(1)</script>\u202e&"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("charts")
    events = [plain_event(n, f"a-{n % 2}", n=n, who=HOSTILE if n % 2 else "ann") for n in range(6)]
    text = write_lines(path / "a.jsonl", events).read_text(encoding="utf-8")
    (path / "a.jsonl").write_text(text.replace('"n": 4', f'"n": {WIDE}'), encoding="utf-8")
    good("ingest", "a.jsonl", "-q", cwd=path)
    return path


@pytest.fixture(scope="module")
def drawn(folder: Path) -> Iterator[SeriesRelation]:
    pytest.importorskip("vl_convert")
    with Store.open(folder / ".esctl") as store:
        yield store.series("max(n)", every="1m", by="who")


class Tags(HTMLParser):
    """The elements of a page, and its policy."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.policy = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.policy = self.policy or next((value or "" for name, value in attrs if name == "content"), "")
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("href", "src", "style")]


def test_a_chart_has_all_digits_and_its_basis(drawn: SeriesRelation) -> None:
    picture = drawn.chart(".svg").decode()
    root = ElementTree.fromstring(picture)
    told = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert told[-1] == f"2024-01-02T00:05:00Z, ann, {WIDE}"
    assert len(told) == len([row for row in drawn if row["value"] is not None])
    assert drawn.basis is not None
    words = "".join(root.itertext())
    assert f"basis: root {drawn.basis.root}" in words
    assert "max(n) by who, every 1m" in words
    page = drawn.chart(".html").decode()
    assert f'<td class="n">{WIDE}</td>' in page


def test_a_chart_is_the_same_bytes_each_time_and_a_picture(drawn: SeriesRelation) -> None:
    assert drawn.chart(".svg") == drawn.chart(".svg")
    picture = drawn.chart(".png")
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture == drawn.chart(".png")


def test_nothing_of_a_log_acts_in_a_chart(drawn: SeriesRelation) -> None:
    page = Tags(drawn.chart(".html").decode())
    assert "script" not in page.found
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert {"svg", "table", "details"} <= page.found
    shown = drawn.chart(".svg").decode()
    assert "&lt;/title&gt;&lt;script&gt;" in shown
    assert "\u202e" not in shown
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", shown)


def test_a_notebook_draws_a_series(drawn: SeriesRelation, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = drawn._repr_mimebundle_()
    assert shown["text/plain"] == repr(drawn)
    assert shown["text/html"] == drawn._repr_html_()
    assert shown["image/svg+xml"] == drawn.chart(".svg").decode()
    chart = shown["application/vnd.vegalite.v5+json"]
    assert json.loads(json.dumps(chart))["$schema"].endswith("/v5.json")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert "image/svg+xml" not in drawn._repr_mimebundle_()
    with pytest.raises(UsageError, match="vl-convert, which is not installed") as caught:
        drawn.chart(".svg")
    assert "esctl-audit[plot]" in caught.value.hint


def test_what_is_not_drawn_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(folder / ".esctl") as store:
        texts = store.series("max(time)", every="1m")
        with pytest.raises(UsageError, match="draws numbers"):
            texts.chart()
        assert set(texts._repr_mimebundle_()) == {"text/plain", "text/html"}
        monkeypatch.setattr(points, "MOST_POINTS", 5)
        with pytest.raises(UsageError, match="at most 5 points"):
            store.series("max(n)", every="1m").chart()


def test_an_output_is_a_chart_by_its_suffix(folder: Path) -> None:
    pytest.importorskip("vl_convert")
    done = good("series", "count(*)", "--every", "1m", "-o", "chart.html", cwd=folder)
    assert (done.out, "1 invalid" in done.err) == (b"", False)
    assert (folder / "chart.html").read_bytes().startswith(b"<!doctype html>")
    message, _ = refused("series", "count(*)", "-o", "c.svg", "--limit", "3", code=2, cwd=folder)
    assert "not for a chart" in message
    message, _ = refused("series", "count(*)", "-o", "c.svg", "--plot", code=2, cwd=folder)
    assert "c.svg is named like a picture" in message
    message, _ = refused("replay", "-o", "c.svg", code=2, cwd=folder)
    assert "no format has the suffix .svg" in message
    assert not (folder / "c.svg").exists()


START = datetime(2024, 1, 2)  # noqa: DTZ001  # of a zone's clocks


@pytest.mark.parametrize(
    ("hours", "step", "width"), [(0, 24, 2), (8, 2, 42), (88 * 24, 14 * 24, 64), (88 * 24 * 365, 7300 * 24, 46)]
)
def test_the_axis_of_times_begins_with_the_first_and_goes_in_whole_steps(hours: int, step: float, width: int) -> None:
    found, columns = _time_axis([START, START + timedelta(hours=hours)], 80)
    assert found == timedelta(hours=step)
    assert columns == width


def test_the_axis_of_times_ends_where_times_end(tmp_path: Path) -> None:
    pytest.importorskip("plotille")
    events = [plain_event(n, "a", n=1) | {"time": f"{year}-12-31T00:00:00Z"} for n, year in enumerate(("0001", "9999"))]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    for options in (["--every", "15m", "--from", "9999-12-31"], ["--every", "100y"]):
        drawn = good("series", "sum(n)", *options, "--plot", "-q", cwd=tmp_path)
        assert "(time)" in drawn.text


@pytest.mark.parametrize("first", [datetime(year, 12, 31, tzinfo=UTC) for year in (1, 2024, 9999)])
@pytest.mark.parametrize("days", [1, 365_000, 10_000_000])
def test_the_limits_of_the_axis_of_times_are_times(first: datetime, days: int) -> None:
    longest = datetime.max.replace(tzinfo=UTC) - datetime.min.replace(tzinfo=UTC)
    begin, end = _time_limits(first, timedelta(days=days))
    assert begin <= first < end
    assert end - begin == min(timedelta(days=days), longest)


@pytest.mark.parametrize(
    ("heights", "whole", "begin", "step"),
    [
        ([0, 82], True, 0, 10), ([58_000.5, 644_613.93], False, 50_000, 50_000), ([3, 3], True, 3, 1),
        ([12_232.51], False, 12_000, 1000), ([0, 0], False, 0, 1),
        ([0.1, 0.25], False, 0.1, 0.01), ([-5, 5], True, -5, 1), ([1e30, 3e30], False, 1e30, 2e29),
    ],
)  # fmt: skip
def test_the_axis_of_values_begins_below_the_least_and_goes_in_whole_steps(
    heights: list[float], whole: bool, begin: float, step: float
) -> None:
    low, rise, rows = _value_axis(heights, 16, whole=whole)
    assert (low, rise) == (pytest.approx(begin), pytest.approx(step))
    assert 2 <= rows <= 16
    assert all(low <= height < low + rise * rows for height in heights)


def test_no_line_leads_over_a_gap() -> None:
    heights = [None, 1.0, 2.0, None, 3.0, None]
    drawn = [Point(START + timedelta(days=n), "", "", height) for n, height in enumerate(heights)]
    assert [(len(times), values) for times, values in runs(drawn)] == [(2, [1.0, 2.0]), (1, [3.0])]
    chart_ = chart(Lines((("", tuple(drawn)),), False), Words("t", "v"))
    assert [each["height"] for each in chart_["vconcat"][0]["data"]["values"]] == heights


@pytest.mark.parametrize("largest", ["1e308", "1.7e308", "1e300"])
def test_values_that_no_axis_holds_are_refused(tmp_path: Path, largest: str) -> None:
    lines = [json.dumps(plain_event(n, n=n)).replace('"n": ', '"n": ' + "-" * (n == 1)) for n in range(1, 4)]
    text = "\n".join(lines).replace('"n": -1', f'"n": -{largest}').replace('"n": 2', f'"n": {largest}')
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    asked = ("series", "max(n)", "--every", "1m", "--plot")
    if largest == "1e300":
        assert "e+300" in good(*asked, cwd=tmp_path).text
    else:
        message, hint = refused(*asked, cwd=tmp_path, code=2)
        assert message.startswith("--plot cannot draw -1")
        assert (message.endswith("it is too large"), hint) == (True, "give an EXPR of smaller numbers")


def test_nothing_is_drawn_of_no_values(folder: Path) -> None:
    pytest.importorskip("plotille")
    done = good("series", "max(n) filter (who = 'nobody')", "--every", "1m", "--plot", "-q", cwd=folder)
    assert done.text == "(no values)\n"


def test_a_plot_begins_where_its_data_does(samples: Path) -> None:
    pytest.importorskip("plotille")
    text = good("series", "count(*)", "-p", "order", "--plot", "-q", cwd=samples).text
    *_, axis = text.rstrip().splitlines()
    assert axis.split("| ")[1].startswith("02 Jan 24")
    labels = [
        int(line.split("|")[0].replace(",", ""))
        for line in text.splitlines()[1:]
        if line.split("|")[0].strip(" -").replace(",", "").isdigit()
    ]
    assert min(labels) >= 0
    assert len({high - low for high, low in pairwise(labels)}) == 1
