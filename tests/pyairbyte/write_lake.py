"""PyAirbyte drives our source-stripe and our destination-lakehouse, twice.

    .venv-pyairbyte/bin/python tests/pyairbyte/write_lake.py [--rows N]

After the first write the tables must hold exactly the sandbox's truth; after some customers have changed,
the second one, which brings everything again, must leave every row once, with its new values.
"""

import argparse
import json
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from read_twice import DESCRIPTION, LATER_S, STREAMS, Failure, Sandbox, binary, ids_of, print_table, quiet, run_script

import airbyte


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300, help="objects of each resource in the sandbox")
    parser.add_argument("--changes", type=int, default=7, help="customers changed between the writes")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with Sandbox(rows=options.rows, seed=options.seed) as sandbox, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(sandbox, folder, "first")
        compare(sandbox, folder, "first write, into an empty lake")
        sandbox.mutate("customers", options.changes, {"description": DESCRIPTION}, "customer.updated")
        sandbox.advance(LATER_S)
        write(sandbox, folder, "second")
        tables = compare(sandbox, folder, "second write, over the same lake")
        described = [row for row in tables["customers"] if row.get("description") == DESCRIPTION]
        if len(described) != options.changes:
            raise Failure(f"{len(described)} customers have the new description instead of {options.changes}")
        print(f"the lake has the new values of all {options.changes} customers")


def config(folder: Path) -> dict:
    return {"warehouse": {"type": "local", "path": str(folder / "lake")}}


def write(sandbox: Sandbox, folder: Path, name: str) -> None:
    """Checks and writes with fresh connectors, as every run of a user's script does."""
    with quiet(folder / f"{name}.log"):
        source = airbyte.get_source("source-stripe", local_executable=binary("source-stripe"), config=sandbox.config("source-stripe"))
        destination = airbyte.get_destination("destination-lakehouse", local_executable=binary("destination-lakehouse"), config=config(folder))
        destination.check()
        # Nothing in between: PyAirbyte 0.71 cannot replace a destination's state in a DuckDB cache.
        destination.write(source, streams=STREAMS, cache=False, state_cache=False)


def compare(sandbox: Sandbox, folder: Path, title: str) -> dict:
    """Whether each table has every row of the truth, once."""
    tables = dump(folder)
    rows = []
    for stream in STREAMS:
        expected = sorted(ids_of(sandbox.truth_now("source-stripe", stream)))
        found = sorted(row["id"] for row in tables[stream])
        rows.append([stream, len(expected), len(found), "yes" if expected == found else "NO"])
    print_table(title, ["stream", "expected", "in the lake", "same ids"], rows)
    if any(row[3] == "NO" for row in rows):
        raise Failure("the lake does not hold the truth")
    return tables


def dump(folder: Path) -> dict:
    """The rows of all tables."""
    path = folder / "lake.json"
    path.write_text(json.dumps(config(folder)))
    command = [binary("destination-lakehouse"), "dump", "--config", path]
    tables = defaultdict(list)
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            tables[message["record"]["stream"]].append(message["record"]["data"])
    return tables


if __name__ == "__main__":
    run_script(main)
