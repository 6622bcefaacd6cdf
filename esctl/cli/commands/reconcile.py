"""esctl reconcile."""

from __future__ import annotations

from typing import Annotated

import typer

from esctl.cli.arguments import At, Before, Entities, KnownAt, ProjectionName
from esctl.cli.intake.options import Decimal, Header
from esctl.cli.opening import open_store
from esctl.cli.options import Shared, question
from esctl.cli.render import render_answer

TABLE = ("entity", "difference", "field", "log", "file", "position", "actor")


File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="What the system has: CSV, TSV, JSON Lines, JSON, Parquet or Arrow; or a table of a PostgreSQL "
        "database, postgres://HOST/DB/SCHEMA.TABLE.",
    ),
]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="COLUMN",
        help="Which column names the entity, or a template such as 'orders/{id}'; by default the column entity.",
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="FIELD", help="Leave this field out (repeat for more).")
]
AllFields = Annotated[
    bool, typer.Option("--all-fields", help="Compare also the fields that only the log or only the file has.")
]
Null = Annotated[str | None, typer.Option("--null", metavar="TEXT", help="What stands for null in CSV.")]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="How text is encoded, where it is not UTF-8.")
]
InputFormat = Annotated[
    str, typer.Option("--input-format", metavar="FORMAT", help="As in esctl ingest; else that is found.")
]
RecordsPath = Annotated[
    str | None, typer.Option("--records-path", metavar="PATH", help="Where the rows are in what wraps them.")
]
TimeFormat = Annotated[
    list[str] | None,
    typer.Option("--time-format", metavar="FORMAT", help="How the times of the file are written, as in ingest."),
]
ExitCode = Annotated[
    bool, typer.Option("--exit-code/--no-exit-code", help="Exit with 1 when anything differs, as is the default.")
]


@question
def run(
    shared: Shared,
    file: File,
    entities: Entities = None,
    at: At = "",
    before: Before = "",
    known_at: KnownAt = "",
    projection: ProjectionName = "",
    key: Key = "",
    ignore: Ignore = None,
    all_fields: AllFields = False,
    null: Null = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    header: Header = None,
    input_format: InputFormat = "",
    records_path: RecordsPath = None,
    time_format: TimeFormat = None,
    exit_code: ExitCode = True,
) -> None:
    """Compare what a system says it has with the state that the log implies."""
    store = open_store(shared)
    result = store.reconcile(
        file, *(entities or ()), at=at, before=before, known_at=known_at, projection=projection, key=key,
        ignore=ignore or (), all_fields=all_fields, null=null,
        decimal=decimal, encoding=encoding, header=header, input_format=input_format, records_path=records_path,
        time_format=time_format or (),
    )  # fmt: skip
    render_answer(result, shared, store, TABLE)
    if exit_code and result.differs:
        raise typer.Exit(1)
