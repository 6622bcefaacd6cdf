"""Write the sample logs anew: seeded, standard library only, the same bytes on every machine.

Run `python sample_logs/generate.py [FOLDER]`; without a folder the files beside this script are rewritten.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from generators import bank, messy, orders, shop


def same(path: Path, data: bytes) -> bool:
    """Tell whether a file holds this content; of compressed ones the content counts, as zlib versions differ."""
    if not path.exists():
        return False
    unpack = gzip.decompress if path.suffix == ".gz" else bytes
    return unpack(path.read_bytes()) == unpack(data)


def main(folder: Path) -> None:
    """Write every file that is not there as it should be."""
    for log in (bank, shop, orders, messy):
        for name, data in log.files().items():
            path = folder / name
            if not same(path, data):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
