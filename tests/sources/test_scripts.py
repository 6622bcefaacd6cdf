"""JSON that stands in a script is read, and the script around it is no record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_harness import good

ONE = '{"id":"a1","type":"opened","time":"2024-03-05T10:00:00Z","account":"A-1","data":{"n":1}}'
TWO = '{"id":"a2","type":"closed","time":"2024-03-05T11:00:00Z","account":"A-1","data":{"n":"callback([1]);"}}'


@pytest.mark.parametrize(
    "text",
    [
        f'/**/callback({{"page":1,"events":[{ONE},{TWO}]}});',
        f"/**/ typeof cb === 'function' && cb([{ONE},{TWO}]);\n",
        f"window.YTD.account.part0 = [\n  {ONE},\n  {TWO}\n]\n",
        f"\ufeffvar events = [{ONE},\n{TWO}];\n",
        f"export default [\n{ONE},{TWO}\n]",
    ],
)
def test_a_script_is_no_record(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(text.encode())
    done = good("ingest", "./a.js", cwd=tmp_path)
    assert (done.rows[0]["records"], done.rows[0]["invalid"]) == (2, 0)
    rows = good("log", "--columns", "id,type,entity", cwd=tmp_path).rows
    assert [tuple(row.values()) for row in rows] == [("a1", "opened", "A-1"), ("a2", "closed", "A-1")]


def test_what_else_stands_there_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(f"callback([{ONE}]);\nalert(1);\n".encode())
    assert good("ingest", "a.js", cwd=tmp_path).rows[0]["invalid"] == 1
