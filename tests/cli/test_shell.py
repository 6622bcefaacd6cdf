"""What the command line promises to scripts and people, seen from outside: pipes, terminals, exit codes, two lines."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from esctl.output import FORMATS

ROOT = Path(__file__).resolve().parents[2]
SHELL = [sys.executable, str(ROOT / "tests" / "support" / "shell_app.py")]
ESCTL = [sys.executable, "-m", "esctl"]


def surroundings(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


def run(*arguments: str, command: list[str] = SHELL, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=surroundings(**variables),
        check=False,
    )


def on_terminal(*arguments: str, **variables: str) -> tuple[str, int]:
    """Run on a pseudo-terminal of 80 x 24 and give what it showed, stdout and stderr together, and the exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*SHELL, *arguments], stdin=slave, stdout=slave, stderr=slave, env=surroundings(**variables)
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(master)
    return shown.decode().replace("\r\n", "\n"), process.wait()


def without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_help_loads_neither_duckdb_nor_pyarrow() -> None:
    code = (
        "import sys, esctl.cli.app as app\n"
        "try: app.main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'duckdb', 'pyarrow', 'rich', 'sqlglot', 'numpy', 'esctl.output.writing'}\n"
        "sys.stderr.write(repr(sorted(heavy & set(sys.modules))))\n"
        "sys.stderr.write(repr([m for m in sys.modules if m.startswith('esctl.cli.commands.')]))"
    )
    done = run("--help", command=[sys.executable, "-c", code])
    assert done.stderr == "[][]"
    assert "replay" in done.stdout


def test_help_lists_commands_without_loading_them() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "A module that is not there." in done.stdout


def test_version_is_one_line_on_stdout() -> None:
    done = run("--version", command=ESCTL)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"esctl \d+\.\d+\.\d+\S*\n", done.stdout)


def test_no_command_shows_the_help_as_a_wrong_call() -> None:
    for arguments, told in (((), "no store here: esctl ingest FILE..."), (("nested",), "Commands:")):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_in_a_pipe(form: str) -> None:
    done = subprocess.run([*SHELL, "rows", "-f", form, "-q"], capture_output=True, env=surroundings(), check=False)
    assert done.returncode == 0
    assert done.stderr == b""
    assert len(done.stdout) > 50
    assert b"\x1b" not in done.stdout or form in ("parquet", "arrow")


def test_a_pipe_gets_json_lines_and_stderr_the_notes() -> None:
    done = run("rows")
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [0, 1, 2]
    assert done.stderr == "rests on\\x1b[31m position 7\n"
    assert run("rows", "-q").stderr == ""


def test_a_terminal_gets_a_table_of_its_width() -> None:
    shown, code = on_terminal("rows", ESCTL_PAGER="cat")
    assert code == 0
    plain = without_colour(shown)
    assert "\x1b[1m" in shown
    assert "time (UTC)" in plain
    assert plain.splitlines()[-1] == "3 rows"
    assert max(map(len, plain.splitlines())) <= 80
    assert "\\x1b[31mx" in plain


def test_colour_follows_option_and_variables() -> None:
    def colours(*options: str, **variables: str) -> bool:
        return "\x1b[" in on_terminal("rows", "--no-pager", *options, **variables)[0]

    assert colours()
    assert not colours(NO_COLOR="1")
    assert not colours("--color", "never")
    assert not colours(ESCTL_COLOR="never")
    assert not colours(TERM="dumb")
    assert colours("--color", "always", NO_COLOR="1")
    assert "\x1b[1m" in run("rows", "-f", "table", CLICOLOR_FORCE="1").stdout
    assert "\x1b" not in run("rows", "-f", "table", CLICOLOR_FORCE="1", NO_COLOR="1").stdout
    assert "\x1b[1m" in run("rows", "-f", "table", "--color", "always").stdout
    assert "\x1b" not in run("rows", "-f", "table").stdout


def test_a_terminal_is_paged_by_the_users_pager() -> None:
    pager = f"{sys.executable} -c \"import sys, os; print('PAGED', os.environ['LESS'], sys.stdin.read())\""
    for variable in ("ESCTL_PAGER", "PAGER"):
        shown, code = on_terminal("rows", **{variable: pager})
        assert code == 0
        assert "PAGED FRX" in shown
        assert "3 rows" in shown
    assert "PAGED" not in on_terminal("rows", "--no-pager", ESCTL_PAGER=pager)[0]
    assert "PAGED" not in on_terminal("rows", "-f", "jsonl", ESCTL_PAGER=pager)[0]
    assert "PAGED" not in run("rows", "-f", "table", ESCTL_PAGER=pager).stdout


def test_a_pager_that_is_not_there_or_left_early_is_no_error() -> None:
    shown, code = on_terminal("rows", ESCTL_PAGER="no-such-pager-anywhere")
    assert (code, "3 rows" in shown) == (0, True)
    shown, code = on_terminal("rows", "900000", "-f", "markdown", "-q", ESCTL_PAGER="head -n 3")
    assert code == 0
    assert without_colour(shown).count("entity-") == 1


def test_binary_formats_are_kept_off_the_terminal() -> None:
    shown, code = on_terminal("rows", "-f", "parquet")
    assert code == 2
    assert "hint: write it to a file: -o answer.parquet" in without_colour(shown)


@pytest.mark.parametrize("form", [name for name in FORMATS if name not in ("table", "junit")])
def test_a_reader_that_leaves_ends_it_with_141_and_no_noise(form: str) -> None:
    process = subprocess.Popen(
        [*SHELL, "rows", "30000000", "-q", "-f", form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(100)
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_head_takes_one_line() -> None:
    script = '"$0" "$1" rows 30000000 -q | head -1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", script, *SHELL], capture_output=True, text=True, env=surroundings(), check=False
    )
    line, code = done.stdout.splitlines()
    assert json.loads(line)["entity"] == "entity-0"
    assert (code, done.stderr) == ("141", "")


@pytest.mark.parametrize("arguments", [["--help"], ["given"], ["rows", "-q"]])
def test_a_reader_that_never_came_is_no_noise_either(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*SHELL, *arguments], stdout=write, stderr=subprocess.PIPE, env=surroundings(), check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_is_reported() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*SHELL, "rows", "-q"], stdout=full, stderr=subprocess.PIPE, env=surroundings(), check=False
        )
    assert done.returncode == 3
    assert b"esctl: error: No space left on device" in done.stderr


@pytest.mark.parametrize(("kind", "code"), [("usage", 2), ("input", 3), ("missing", 4), ("other", 70)])
def test_errors_are_two_harmless_lines_and_an_exit_code(kind: str, code: int) -> None:
    done = run("fail", kind)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "esctl: error: it \\x1b[31mfailed\\nbadly\nhint: do\\u202e this\n"


def test_a_bug_is_told_in_two_lines_and_with_debug_in_full() -> None:
    done = run("fail", "bug")
    assert done.returncode == 70
    assert done.stderr.splitlines()[0] == "esctl: error: unexpected RuntimeError: it \\x1b[31mfailed\\nbadly"
    assert len(done.stderr.splitlines()) == 2
    for arguments in (("fail", "bug", "--debug"), ("--debug", "fail", "bug")):
        debugged = run(*arguments)
        assert "Traceback" in debugged.stderr
        assert "\x1b" not in debugged.stderr
        assert debugged.stderr.endswith(done.stderr)
    assert "Traceback" in run("fail", "bug", ESCTL_DEBUG="1").stderr
    assert "Traceback" in run("fail", "usage", "--debug").stderr


def test_other_ends_have_their_codes() -> None:
    assert run("fail", "finding").returncode == 1
    assert run("fail", "finding").stderr == ""
    assert run("fail", "interrupt").returncode == 130
    done = run("fail", "file")
    assert (done.returncode, done.stderr) == (3, "esctl: error: /nonexistent/file: No such file or directory\n")
    assert run("absent").returncode == 70


def test_ctrl_c_in_the_middle_of_a_query_ends_with_130() -> None:
    process = subprocess.Popen([*SHELL, "busy"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings())
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=60)
    assert (process.returncode, talk) == (130, b"esctl: interrupted\n")


def test_ctrl_c_while_writing_ends_with_130() -> None:
    process = subprocess.Popen(
        [*SHELL, "rows", "300000000", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings()
    )
    assert process.stdout is not None
    process.stdout.read(1000)
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        process.stdout.read1(1 << 20)  # type: ignore[attr-defined]
    _, talk = process.communicate()
    assert (process.returncode, talk) == (130, b"esctl: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["rosw"], "unknown command 'rosw'", "did you mean rows?"),
        (["\x1b[31m"], "unknown command '\\x1b[31m'", "the commands are: rows, fail, busy, given, bar, nested, absent"),
        (["rows", "--colunms", "n"], "unknown option --colunms", "did you mean --columns?"),
        (["--frmat", "csv", "rows"], "unknown option --frmat", "did you mean --format?"),
        (["rows", "-f", "jsonk"], "unknown format 'jsonk' in --format", "did you mean json?"),
        (["rows", "--limit", "-1"], "--limit -1 is negative", "give 0 or more"),
        (["rows", "--color", "blue"], "--color 'blue' is not possible", "it is auto, always or never"),
        (["rows", "--columns", "tme"], "unknown column 'tme' in --columns", "did you mean time?"),
        (["rows", "-o", "x.csv.gz"], "x.csv.gz: output is not compressed by esctl", None),
        (["nested", "gven"], "no such command 'gven'", "did you mean 'given'?"),
        (["fail"], "missing argument 'kind'", "see: esctl fail --help"),
        (["rows", "many"], None, "see: esctl rows --help"),
        (["rows", "--limit", "many"], None, "see: esctl rows --help"),
        (["rows", "1", "2"], None, "see: esctl rows --help"),
    ],
)
def test_wrong_calls_are_two_lines_with_a_guess(arguments: list[str], message: str | None, hint: str | None) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()[-2:]
    assert first.startswith("esctl: error: ")
    assert message is None or first == f"esctl: error: {message}"
    assert second.startswith("hint: ")
    assert hint is None or second == f"hint: {hint}"


def test_an_output_file_takes_its_format_from_its_suffix(tmp_path: Path) -> None:
    done = run("rows", "-q", "-o", str(tmp_path / "a.csv"), ESCTL_FORMAT="json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "0,entity-0,2024-01-01T00:00:00Z,\\x1b[31mx"
    assert run("rows", "-q", "-o", "-").stdout.count("\n") == 3
    assert run("rows", "-q", ESCTL_FORMAT="csv").stdout.startswith("n,entity,time,odd\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_writer_leaves_the_older_file(tmp_path: Path, number: int, code: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("older")
    process = subprocess.Popen([*SHELL, "rows", "300000000", "-q", "-o", str(path)], env=surroundings())
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) == 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]
    assert path.read_text() == "older"


def test_columns_limit_and_zone_before_and_after_the_command() -> None:
    first = run("--limit", "1", "--columns", "time", "--tz", "Asia/Kathmandu", "rows", "-q")
    assert first.stdout == '{"time":"2024-01-01T05:45:00+05:45"}\n'
    second = run("--limit", "9", "--tz", "UTC", "rows", "--limit", "1", "--columns", "time", "--tz", "+05:45", "-q")
    assert second.stdout == first.stdout


def test_progress_is_for_terminals_alone() -> None:
    assert (run("bar").stdout, run("bar").stderr) == ("done\n", "")
    shown, _ = on_terminal("bar")
    assert "10 records" in shown
    assert "reading \\x1b[31m[bold]a.jsonl" in without_colour(shown)
    assert "records" not in on_terminal("bar", "-q")[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [("ro", ["rows"]), ("rows --form", ["--format"]), ("rows -f js", ["json", "jsonl"]), ("nested gi", ["given"])],
)
def test_completion_of_commands_options_and_formats(line: str, expected: list[str]) -> None:
    done = run(_ESCTL_COMPLETE="complete_bash", COMP_WORDS=f"esctl {line}", COMP_CWORD=str(len(line.split())))
    assert (done.stdout.split(), done.stderr) == (expected, "")
