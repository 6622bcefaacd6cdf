"""Reports in a real browser, offline: what they show, what they prove, and that nothing in them acts."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_hostile import HOSTILE, acting, event
from tests.page.conftest import mine
from tests.support.cli_harness import good, write_lines
from tests.support.pages import stepped, told
from tests.support.seen_pages import NARROW, WIDE, seen

SPAN = ("--from", "2024-03-01", "--to", "2024-03-10")


@pytest.fixture(scope="module")
def report(bank: Path) -> Path:
    good("report", "account-017", *SPAN, "-o", "report.html", "-q", cwd=bank, **mine(bank))
    return bank / "report.html"


@pytest.fixture(scope="module")
def key(bank: Path) -> str:
    return (bank / "key.pub").read_text()


def changed(report: Path, target: Path, old: bytes, new: bytes) -> Path:
    data = report.read_bytes()
    assert data.count(old) == 1, old
    target.write_bytes(data.replace(old, new))
    return target


def test_a_key_proves_the_records_and_nothing_does_without_one(browser: Any, report: Path, key: str) -> None:
    with seen(browser, report) as page:
        assert page.verdict().startswith("Not judged: no key was given. The 15 records")
        assert page.standings() == {"not judged": 15}
        assert not page.page.query_selector(".proven")
        assert "is written name+hash+base64" in page.trust("nonsense")
        assert not page.page.query_selector(".proven")
        verdict = page.trust(key)
        assert verdict.startswith("Proven: 15 records are in the log esctl/")
        assert verdict.endswith("signed by auditor when it had 5,038.")
        assert page.standings() == {"proven": 15}
        assert page.page.inner_text(".chosen .badge") == "proven"
        page.trust("")
        assert page.standings() == {"not judged": 15}
        assert page.requests == [report.as_uri()]
        assert page.complaints == []


def test_a_flipped_byte_turns_exactly_that_record_red(browser: Any, report: Path, key: str, tmp_path: Path) -> None:
    flipped = changed(report, tmp_path / "r.html", b"Vantage Electronics Online", b"Vantage Electronics 0nline")
    with seen(browser, flipped) as page:
        assert page.standing("refuted") == [3494]
        assert "1 record of 15 is not what was recorded" in page.trust(key)
        assert page.standing("refuted") == [3494]
        assert page.standings() == {"proven": 14, "refuted": 1}


def test_states_are_stepped_through_by_keys(browser: Any, report: Path, bank: Path) -> None:
    content = told(report.read_bytes())
    states = stepped(content, 0)
    with seen(browser, report) as page:
        page.page.click("h1")
        assert page.state() == states[15]
        for step in (14, 13, 12, 11):
            page.page.keyboard.press("ArrowLeft")
            assert page.state() == {**dict.fromkeys(states[step - 1], "–"), **states[step]}
        page.page.keyboard.press("b")
        for _ in range(3):
            page.page.keyboard.press("ArrowLeft")
        page.page.keyboard.press("a")
        rows = page.page.eval_on_selector_all(
            "table.diff tbody tr", "rows => rows.map((row) => row.innerText.split('\\t'))"
        )
        at = [content["trail"][step - 1][0] for step in (8, 11)]
        diff = good("diff", *(f"@{place}" for place in at), "account-017", "-f", "jsonl", cwd=bank).rows
        assert {row[0] for row in rows} == {row["field"] for row in diff}
        page.page.click(".trail button.event >> nth=0")
        assert page.state()["balance"] == states[1]["balance"]
        page.page.fill("#search", "Mill Lane")
        assert page.page.inner_text("#timeline p[role=status]").startswith("2 of 15 events")


def test_what_is_in_a_log_does_nothing_in_the_page(browser: Any, tmp_path: Path) -> None:
    texts = [*HOSTILE, "</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>", "n" * 5000]
    write_lines(tmp_path / "a.jsonl", [event(number, text) for number, text in enumerate(texts)])
    good("ingest", "a.jsonl", "-q", "--map", "entity=stream", cwd=tmp_path)
    (tmp_path / "case.toml").write_text(
        f"title = {json.dumps(texts[-3])}\nquestion = {json.dumps(texts[-4])}\nentities = ['*']\n"
        f"notes = [{{event = '@3', text = {json.dumps(texts[-2])}}}]\n"
    )
    good("report", "--case", "case.toml", "-q", "-o", "r.html", cwd=tmp_path)
    with seen(browser, tmp_path / "r.html", NARROW) as page:
        assert page.complaints == []
        assert page.requests == [(tmp_path / "r.html").as_uri()]
        assert page.page.evaluate("document.querySelectorAll('script, img, iframe, link').length") == 3
        assert acting(page.page.inner_text("main"), "\n\t") == set()
        assert page.page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
        assert page.page.locator("#trail .row:not(.head)").count() == len(texts)
        for width in (NARROW[0], 1000, 1280, WIDE[0]):
            page.page.set_viewport_size({"width": width, "height": 900})
            wider = "rows => rows.filter((row) => row.scrollWidth > row.clientWidth).map((row) => row.innerText)"
            assert page.page.eval_on_selector_all(".row, section, td", wider) == [], width


def test_a_note_is_shown_whether_its_event_is_in_the_trail_or_not(browser: Any, bank: Path, tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(
        'entities = ["account-017"]\nfrom = "2024-03-05"\nto = "2024-03-05"\n'
        '[[notes]]\nevent = "evt-03494"\ntext = "a <b>charge</b>"\n[[notes]]\nevent = "@1"\ntext = "the first of all"\n'
    )
    good("report", "--case", tmp_path / "case.toml", "-q", "-o", tmp_path / "r.html", cwd=bank, **mine(bank))
    with seen(browser, tmp_path / "r.html") as page:
        assert page.complaints == []
        for position, text in ((3494, "a <b>charge</b>"), (1, "the first of all")):
            row = f"#records [data-position='{position}']"
            assert page.page.inner_text(f"{row} .mark-note") == text
        assert page.page.locator("#trail .mark-note").all_inner_texts() == ["a <b>charge</b>"]


def test_records_of_another_encoding_can_be_read(browser: Any, tmp_path: Path) -> None:
    rows = "".join(f"{n};2024-03-{n + 1:02d};K{n % 2};M\xfcnzen <b>\x80\r\n" for n in range(20))
    (tmp_path / "a.csv").write_bytes(f"id;time;entity;text\r\n{rows}".replace("\x80", "\u20ac").encode("cp1252"))
    good("ingest", "a.csv", "-q", cwd=tmp_path)
    good("report", "K1", "-q", "-o", "r.html", cwd=tmp_path)
    with seen(browser, tmp_path / "r.html") as page:
        assert "(not UTF-8; shown as Windows-1252) 19;2024-03-20;K1;M\xfcnzen <b>\u20ac" in page.page.inner_text("main")
        assert page.complaints == []


@pytest.mark.thorough
@pytest.mark.parametrize("span", [(), ("--from", "2024-01-02")], ids=["all", "later"])
def test_states_that_no_event_tells_are_not_stepped_to(browser: Any, tmp_path: Path, span: tuple[str, ...]) -> None:
    lines = [
        {"id": f"e-{n}", "type": "Set", "time": f"2024-01-0{n}T00:00:00Z", "stream": name, "data": {"n": n}}
        for n, name in ((1, "a-1"), (2, "a-1"), (3, "b-1"))
    ]
    write_lines(tmp_path / "a.jsonl", lines)
    rule = '[projections.a]\nentities = "a-*"\nsql = "select entity, count(*) as n from events group by entity"\n'
    (tmp_path / "esctl.toml").write_text(rule)
    here = {"cwd": tmp_path, **mine(tmp_path)}
    good("key", "new", "ann", "-q", **here)
    good("ingest", "a.jsonl", "-q", "--map", "entity=stream", "--checkpoint", **here)
    good("report", "a-1", *span, "-q", "-o", "r.html", **here)
    good("bundle", "a-1", "--html", "-q", "-o", "b.zip", **here)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extract("report.html", tmp_path)
    for name in ("r.html", "report.html"):
        with seen(browser, tmp_path / name) as page:
            assert page.state() == {"n": "2"}
            assert page.page.inner_text("#diff .warn").startswith("Not known")
            page.page.click("h1")
            page.page.keyboard.press("ArrowLeft")
            assert page.state() == {}
            assert page.page.inner_text("#state .warn").startswith("Not known")


@pytest.mark.thorough
def test_any_flipped_byte_is_found(browser: Any, report: Path, key: str, tmp_path: Path) -> None:
    data = report.read_bytes()
    start = data.index(b'<script id="bytes"')
    start = data.index(b"\n", start) + 1
    lines = data[start : data.index(b"\n</script>", start)].split(b"\n")
    draws = random.Random(17)
    with seen(browser, report) as page:
        for number in draws.sample(range(len(lines)), 12):
            line = lines[number]
            at = draws.randrange(line.index(b"\t") + 2, len(line))
            other = bytearray(line)
            other[at] = ord("~") if line[at] != ord("~") else ord("!")
            if b"\\" in (line[at : at + 1], line[at - 1 : at]):
                continue
            copy = b"\n".join([*lines[:number], bytes(other), *lines[number + 1 :]])
            (tmp_path / "r.html").write_bytes(data.replace(b"\n".join(lines), copy))
            page.open(tmp_path / "r.html")
            page.trust(key)
            position = json.loads(line.partition(b"\t")[0])[0]
            assert page.standing("refuted") == [position]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [
        (rb"\\n5038\\n", "not signed by auditor, as it says"),
        (rb'"nodes":"..', "not what was recorded"),
        (rb'"root":"..', "another head of the log"),
        (rb'"recorded":\["..', "15 records of 15 are not what was recorded"),
    ],
)
def test_what_is_shared_is_checked_too(
    browser: Any, report: Path, key: str, tmp_path: Path, pattern: bytes, verdict: str
) -> None:
    data = report.read_bytes()
    (found,) = re.findall(pattern, data)
    swapped = {b"\\n5038\\n": b"\\n5039\\n"}.get(found, found[:-1] + (b"3" if found[-1:] != b"3" else b"4"))
    with seen(browser, changed(report, tmp_path / "r.html", found, swapped)) as page:
        page.page.fill("#key", key)
        page.page.wait_for_selector("#verdict.refuted")
        assert verdict in page.verdict()
        assert "proven" not in page.standings() or verdict == "not what was recorded"


@pytest.mark.thorough
@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_records_at_one_position_none_is_proven(
    browser: Any, report: Path, key: str, tmp_path: Path, is_first: bool
) -> None:
    (line,) = re.findall(rb"\n(\[3494,[^\n]*\t[^\n]*)", report.read_bytes())
    forged = line.replace(b"4950.00", b"49.50")
    both = b"\n".join([forged, line] if is_first else [line, forged])
    with seen(browser, changed(report, tmp_path / "r.html", line, both)) as page:
        page.trust(key)
        assert page.standing("refuted") == [3494, 3494]


@pytest.mark.thorough
def test_a_browser_that_cannot_check_judges_nothing(browser: Any, report: Path, key: str) -> None:
    unable = "Object.defineProperty(crypto, 'subtle', {value: undefined})"
    with seen(browser, report, script=unable) as page:
        assert page.trust(key).startswith("Not judged: the browser offers no cryptography")
        assert page.standings() == {"not judged": 15}
    no_ed25519 = "crypto.subtle.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError'))"
    with seen(browser, report, script=no_ed25519) as page:
        assert "cannot check Ed25519" in page.trust(key)
        assert page.standings() == {"not judged": 15}


@pytest.mark.thorough
def test_another_key_proves_nothing(browser: Any, report: Path, key: str, bank: Path, tmp_path: Path) -> None:
    other = good("key", "new", "stranger", "-q", cwd=tmp_path, **mine(tmp_path)).text
    (tmp_path / "keys").write_text(f"{other}{key}")
    with seen(browser, report) as page:
        assert page.trust(other) == "The checkpoint is not signed by stranger."
        assert page.standings() == {"not judged": 15}
        page.page.set_input_files("#keyfile", tmp_path / "keys")
        page.page.wait_for_selector("#verdict.proven")
        assert "signed by auditor" in page.verdict()


@pytest.mark.thorough
def test_proofs_are_saved_as_prove_writes_them(browser: Any, report: Path, bank: Path, tmp_path: Path) -> None:
    with seen(browser, report) as page:
        for name, command in (("Save its proof", ("prove", "@3757")), ("Save the record", ("show", "@3757", "--raw"))):
            with page.page.expect_download() as saved:
                page.page.click(f"text={name}")
            saved.value.save_as(tmp_path / "saved")
            assert (tmp_path / "saved").read_bytes() == good(*command, "-q", cwd=bank, **mine(bank)).out


@pytest.mark.thorough
def test_erased_records_show_as_erased(browser: Any, bank: Path, key: str, tmp_path: Path) -> None:
    shutil.copytree(bank, tmp_path / "copy")
    here = {"cwd": tmp_path / "copy", **mine(bank)}
    good("redact", "@3494", "--reason", "asked", "--actor", "dpo", "--yes", "-q", **here)
    good("report", "account-017", *SPAN, "-o", "r.html", "-q", **here)
    with seen(browser, tmp_path / "copy" / "r.html") as page:
        assert "14 records" in page.trust(key)
        assert page.standing("erased") == [3494]
        assert page.standings() == {"proven": 14, "erased": 1}


@pytest.mark.thorough
def test_on_paper_there_is_every_row(browser: Any, report: Path, bank: Path, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt install poppler-utils")
    good("report", "account-017", "-o", "all.html", "-q", cwd=bank, **mine(bank))
    content = told((bank / "all.html").read_bytes())
    with seen(browser, bank / "all.html") as page:
        page.page.fill("#search", "evt-03494")
        page.page.pdf(path=tmp_path / "r.pdf", format="A4")
    done = subprocess.run(["pdftotext", "-layout", tmp_path / "r.pdf", "-"], capture_output=True, check=True, text=True)
    text = done.stdout
    assert content["basis"]["root"] in text
    assert "position 5038" in text
    places = re.findall(r"^[\f ]*@([0-9]+) +2024-", text, re.MULTILINE)
    assert {row[0] for row in content["trail"]} <= set(map(int, places))
    assert len(re.findall(r"not judged", text)) >= 2 * len(content["trail"])


@pytest.mark.thorough
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_can_use_it(browser: Any, report: Path, key: str, size: tuple[int, int], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    with seen(browser, report, size, scheme) as page:
        page.trust(key)
        page.page.fill("#search", "3")
        found = axe.Axe().run(page.page).response["violations"]
        assert not found, [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
        assert page.page.evaluate("document.documentElement.scrollWidth") == size[0]


@pytest.mark.thorough
def test_ten_thousand_events_are_all_there(browser: Any, tmp_path: Path) -> None:
    lines = [
        {"id": f"evt-{n:05d}", "type": f"Type{n % 7}", "time": f"2024-01-{n // 360 + 1:02d}T00:{n % 360 // 6:02d}:00Z",
         "stream": "account-1", "actor": f"teller-{n % 40:02d}", "correlation": f"req-{n:06x}",
         "data": {"balance": n, "charges": n % 90, "channel": "branch", "card": "****1629"}}
        for n in range(10_000)
    ]  # fmt: skip
    write_lines(tmp_path / "a.jsonl", lines)
    here = {"cwd": tmp_path, **mine(tmp_path)}
    key = good("key", "new", "ann", "-q", **here).text
    good("ingest", "a.jsonl", "-q", "--map", "entity=stream", "--checkpoint", **here)
    good("report", "account-1", "-q", "-o", "r.html", **here)
    assert (tmp_path / "r.html").stat().st_size < 5_000_000
    with seen(browser, tmp_path / "r.html") as page:
        assert page.page.locator("#trail .row:not(.head)").count() == 10_000
        assert "Proven: 10,000 records" in page.trust(key)
        assert page.standings() == {"proven": 10_000}
        page.page.click("#trail .sort >> text=Time")
        page.page.click("#trail .sort >> text=Time")
        page.page.wait_for_selector("html[data-ready]")
        assert page.page.inner_text("#trail .row:not(.head) >> nth=0").startswith(
            "@9997"
        )  # the first of the last minute
        assert page.complaints == []
