"""Print the lower bound of each direct dependency as a pip constraint."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
for requirement in project["dependencies"]:
    if bound := re.match(r"([A-Za-z0-9._-]+)>=([0-9.]+)", requirement):
        print(f"{bound[1]}=={bound[2]}")  # noqa: T201 - the constraints are the output
