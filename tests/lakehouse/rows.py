"""Prints the rows of a stream's table as JSON lines, as DuckDB sees them; fails when there is no table.

    .venv-lakehouse/bin/python tests/lakehouse/rows.py CONFIG STREAM

For the acceptance suite, which compares them with what it has written.
"""

import json
import re
import sys
from pathlib import Path

from lake import duck


def main() -> None:
    config, stream = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]
    name = re.sub(r"\W+", "_", stream.lower())
    table = Path(config["warehouse"]["path"]) / config.get("namespace", "default") / name
    if not (table / "metadata" / "version-hint.text").exists():
        sys.exit(f"there is no table {table}")
    found = duck().execute(f"SELECT * FROM iceberg_scan('{table}')")
    columns = [column[0] for column in found.description]
    for row in found.fetchall():
        print(json.dumps(dict(zip(columns, row)), default=str, ensure_ascii=False))


if __name__ == "__main__":
    main()
