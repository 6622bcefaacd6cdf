"""The command line with commands made for tests: `python -m tests.support.shell_app rows -f csv`."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any

import typer

from esctl.cli import app, diagnostics
from esctl.cli.options import Shared, command, subcommands
from esctl.errors import EsctlError, InputError, NotFoundError, UsageError
from esctl.model import Answer, Column, Findings

KINDS = {"usage": UsageError, "input": InputError, "missing": NotFoundError, "other": EsctlError}


def rows(
    shared: Shared,
    count: Annotated[int, typer.Argument(help="How many.")] = 3,
    table: Annotated[str, typer.Option("--table-columns")] = "",
) -> None:
    """Give some rows."""
    from esctl.cli.render import render
    from esctl.engine.duckdb import connect

    sql = f"select i, 'entity-' || i, timestamp '2024-01-01' + to_seconds(i), '\x1b[31mx' from range({count}) t(i)"
    columns = (Column("n", "integer"), Column("entity", "text"), Column("time", "time"), Column("odd", "text"))
    answer = Answer(
        SimpleNamespace(connection=connect()),
        sql,
        columns,
        notes=("rests on\x1b[31m position 7",),
        title="Rows",
        findings=Findings((("odd", "what is odd"),), "'odd'", "odd", "entity"),
    )
    render(answer, shared, table_columns=tuple(table.split(",")) if table else ())


def fail(shared: Shared, kind: str, message: str = "it \x1b[31mfailed\nbadly", hint: str = "do\u202e this") -> None:
    """Fail in the way asked for."""
    if kind == "bug":
        raise RuntimeError(message)
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "file":
        os.stat("/nonexistent/file")
    if kind == "finding":
        raise typer.Exit(1)
    raise KINDS[kind](message, hint)


def busy(shared: Shared) -> None:
    """Run a query without an end, after saying so."""
    from esctl.engine.duckdb import connect, explained

    connection = connect()
    sys.stdout.write("running\n")
    sys.stdout.flush()
    with explained():
        connection.execute("select count(*) from range(1000000000000) t(i) where hash(i) = 3").fetchall()


def given(shared: Shared) -> None:
    """Show the shared options as they arrived."""
    sys.stdout.write(f"{shared}\n")


def bar(shared: Shared) -> None:
    """Show progress."""
    with diagnostics.progress("reading \x1b[31m[bold]a.jsonl", 2048, shared.quiet) as advance:
        advance(1024, 5)
        advance(1024, 5)
    sys.stdout.write("done\n")


def modules() -> None:
    """Show which heavy modules are loaded, on stderr."""
    heavy = ("duckdb", "pyarrow", "rich", "sqlglot", "numpy", "esctl.output.writing", "shell_rows")
    sys.stderr.write(" ".join(name for name in heavy if name in sys.modules) + "\n")


def register(name: str, **content: Any) -> tuple[str, str]:
    module = ModuleType(f"shell_{name}")
    module.__dict__.update(content)
    sys.modules[module.__name__] = module
    return module.__name__, f"The line of {name}."


nested = subcommands("Commands below a command.")
nested.command("given")(command(given))

TABLE = {
    "rows": register("rows", run=command(rows)),
    "fail": register("fail", run=command(fail)),
    "busy": register("busy", run=command(busy)),
    "given": register("given", run=command(given)),
    "bar": register("bar", run=command(bar)),
    "nested": register("nested", app=nested),
    "absent": ("shell_absent", "A module that is not there."),
}

if __name__ == "__main__":
    app.run(app.build(TABLE))
