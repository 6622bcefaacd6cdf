"""Measure what people look at, a report in Chromium and the first screen of browse: `python bench/looking.py [N]`.

The report is of one account with 10,000 events, the bundle of the disputed account of the sample bank. Browse opens a
store of N events (default a million) of as many entities. Wall time, and processor time: of the page's main thread, and
of browse until the screen is there. Needs Chromium, Playwright and Textual, as the tests do.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUNS = 3
_WATCH = """(() => {
  window.at = {};
  const root = () => document.documentElement;
  const seen = () => ["ready", "checked"].filter((key) => root().dataset[key] === "yes")
    .forEach((key) => { window.at[key] = performance.now(); });
  const begin = () => root() ? new MutationObserver(seen).observe(root(), { attributes: true }) : setTimeout(begin);
  begin();
})()"""
_JUDGED = """(key) => new Promise((done) => {
  const from = performance.now();
  new MutationObserver((_, watch) => { watch.disconnect(); done(performance.now() - from); })
    .observe(document.documentElement, { attributes: true, attributeFilter: ["data-judged"] });
  const box = document.getElementById("key");
  box.value = key;
  box.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def esctl(folder: Path, *arguments: str) -> str:
    """Run a command in a folder; return its stdout."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "esctl", "-q", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=folder, env=env, text=True).stdout


def account(folder: Path, events: int) -> Path:
    """Make the report of an account; return the path of its page."""
    with (folder / "account.jsonl").open("w") as file:
        for n in range(events):
            envelope = {
                "id": f"evt-{n:05d}",
                "type": f"Type{n % 7}",
                "stream": "account-1",
                "actor": f"teller-{n % 40}",
            }
            at = f"2024-01-{n // 360 + 1:02d}T00:{n % 360 // 6:02d}:00Z"
            data = {"balance": n, "charges": n % 90, "channel": "branch", "card": "****1629"}
            file.write(json.dumps({**envelope, "time": at, "correlation": f"req-{n:06x}", "data": data}) + "\n")
    esctl(folder, "ingest", "account.jsonl", "--map", "entity=stream", "--checkpoint", "--store", "one")
    esctl(folder, "report", "account-1", "-o", "account.html", "--store", "one")
    return folder / "account.html"


def bundle(folder: Path) -> Path:
    """Make the bundle of an account of the sample bank, in a folder of its own; return the path of its page."""
    folder = folder / "bank"
    folder.mkdir()
    for name in ("bank.jsonl", "esctl.toml"):
        shutil.copy(ROOT / "sample_logs" / name, folder)
    esctl(folder, "ingest", "bank.jsonl", "--checkpoint", "--key", "ann")
    esctl(folder, "bundle", "account-017", "--html", "-o", "bundle.zip")
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        print(f"the bundle has {len(archive.namelist())} files")
        return Path(archive.extract("report.html", folder))


def look_at(browser: Any, path: Path, key: str) -> None:
    """Print when a page is painted, loaded and checked, and how long a key takes to judge all of it."""
    page = browser.new_page()
    page.add_init_script(_WATCH)
    driver = page.context.new_cdp_session(page)
    driver.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    while not page.evaluate("'ready' in window.at && 'checked' in window.at"):
        time.sleep(0.5)
    metrics = {each["name"]: each["value"] for each in driver.send("Performance.getMetrics")["metrics"]}
    at = page.evaluate(
        """({ painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        loaded: performance.getEntriesByType("navigation")[0].loadEventEnd, checked: window.at.checked })"""
    )
    judged = page.evaluate(_JUDGED, key)
    told = ", ".join(f"{name} {value / 1000:.2f} s" for name, value in at.items())
    print(
        f"{path.name} ({path.stat().st_size / 1e6:.2f} MB): {told}; {metrics['TaskDuration']:.2f} s of processor time;"
    )
    print(f"  a key judges it in {judged:.0f} ms: {page.text_content('#verdict')}")
    page.close()


def first_screen(folder: Path) -> None:
    """Print when the first entities and the first state are on the screen of browse, with processor time until then."""
    began = time.monotonic()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        os.execv(sys.executable, [sys.executable, "-m", "esctl", "browse", "--store", "many"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, marks = b"", {b"account-0000000": "entities", b"amount": "the state"}
    while marks and time.monotonic() - began < 60:
        if select.select([terminal], [], [], 0.02)[0]:
            seen += os.read(terminal, 65536)
        for mark in [mark for mark in marks if mark in seen]:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            print(f"browse: {marks.pop(mark)} after {time.monotonic() - began:.2f} s, {spent:.2f} s of processor time")
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def main() -> None:
    """Measure all of it, several times."""
    from playwright.sync_api import sync_playwright

    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HOME"] = name  # for keys, and the heads last seen of stores
        key = esctl(folder, "key", "new", "ann").strip()
        pages = [account(folder, 10_000), bundle(folder)]
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for page in pages * RUNS:
                look_at(browser, page, key)
        with (folder / "many.jsonl").open("w") as file:
            for n in range(events):
                at = f"2024-{n * 12 // events + 1:02d}-01T{n % 24:02d}:{n % 60:02d}:00Z"
                event = {"id": f"evt-{n:07d}", "type": "Opened", "time": at, "stream": f"account-{n:07d}"}
                file.write(json.dumps({**event, "actor": f"teller-{n % 40}", "data": {"amount": n}}) + "\n")
        esctl(folder, "ingest", "many.jsonl", "--map", "entity=stream", "--store", "many")
        (folder / "many.jsonl").unlink()
        for _ in range(RUNS):
            first_screen(folder)


if __name__ == "__main__":
    main()
