"""`aws s3 cp FILE s3://BUCKET/KEY`, for the guides: as much of the command line of AWS as they use."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote


def main() -> None:
    command, file, url = sys.argv[1:3], sys.argv[3], sys.argv[4]
    assert command == ["s3", "cp"]
    path = url.removeprefix("s3://") + (Path(file).name if url.endswith("/") else "")
    where = f"{os.environ['AWS_ENDPOINT_URL']}/{quote(path)}"
    with urllib.request.urlopen(urllib.request.Request(where, Path(file).read_bytes(), method="PUT")):
        sys.stdout.write(f"upload: ./{file} to s3://{path}\n")


if __name__ == "__main__":
    main()
