"""What runs the examples of the READMEs would notice an example that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import readme_examples
from tests.support.readme_examples import Example, Run, examples, matches, shortened, updated

TEXT = """
```console
$ first
one
two
$ second \\
> more
```

```text
$ not a command
```
"""


def test_examples_are_found_with_their_outputs() -> None:
    assert [(example.line, example.command, example.expected) for example in examples(TEXT)] == [
        (3, "first", ("one", "two")),
        (6, "second \\\nmore", ()),
    ]


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a", "c"], False),
        (["a"], ["a", "b"], False),
        (["a", "..."], ["a", "b", "c"], True),
        (["a", "...", "c"], ["a", "b", "c"], True),
        (["a", "...", "c"], ["a", "c"], True),
        (["a", "...", "a"], ["a"], False),
        (["a", "...", "c"], ["a", "c", "d"], False),
        (["...", "b", "...", "c"], ["a", "b", "x", "c"], True),
        (["...", "x", "...", "c"], ["a", "b", "c"], False),
        (["12 new in 0.4 s"], ["12 new in 1.25 s"], True),
        (["12 new in 0.4 s"], ["13 new in 0.4 s"], False),
        (["2024-03-05T02:14:42Z"], ["2024-03-05T02:14:43Z"], False),
        (["2026-03-05T02:14:42Z"], ["2026-04-05T02:14:43Z"], True),
    ],
)
def test_outputs_are_compared_line_by_line(expected: list[str], output: list[str], same: bool) -> None:
    assert matches(expected, output) is same


def test_an_update_keeps_what_is_right_and_the_wildcards() -> None:
    first, second = examples(TEXT)
    text = updated(TEXT, [Run(first, ("one", "three"), 0), Run(second, ("new",), 0)])
    assert [example.expected for example in examples(text)] == [("one", "three"), ("new",)]
    assert updated(text, [Run(example, example.expected, 0) for example in examples(text)]) == text
    assert shortened(["a", "...", "z"], ["1", "2", "3", "4"]) == ["1", "...", "4"]
    assert shortened(["a", "...", "z"], ["1", "2"]) == ["1", "2"]


def test_paths_of_this_machine_are_not_shown(tmp_path: Path) -> None:
    example = Example(1, "pwd", (), ("$ pwd",))
    with readme_examples.environment(tmp_path) as env:
        done = readme_examples.execute(example, tmp_path, env)
    assert done.output == ("/srv/my-system",)
