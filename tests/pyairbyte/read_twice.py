"""PyAirbyte drives our source-stripe twice: a full read, then an incremental one.

    .venv-pyairbyte/bin/python tests/pyairbyte/read_twice.py [--rows N]

The first read fills a DuckDB cache, which must then hold exactly the sandbox's truth. Some
customers are changed, the sandbox's clock moves on until their events are old enough to be read,
and the second read over the same cache must bring the changed rows and no others.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

# Both are read while the package is imported: no look-up of a connector registry, no telemetry.
os.environ["AIRBYTE_OFFLINE_MODE"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
# Its libraries announce the end of support for Python versions on every import.
warnings.simplefilter("ignore", FutureWarning)

import airbyte
from airbyte.caches import DuckDBCache

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
from harness import Failure, Sandbox, binary, print_table, run_script, tail

STREAMS = ["customers", "charges", "invoices", "subscriptions", "events"]
DESCRIPTION = "Changed between two reads"
# Well past the minute by which our connector stays behind the newest events.
LATER_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300, help="objects of each resource in the sandbox")
    parser.add_argument("--changes", type=int, default=7, help="customers changed between the reads")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with Sandbox(rows=options.rows, seed=options.seed) as sandbox, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = DuckDBCache(db_path=folder / "cache.duckdb", cache_dir=folder / "files")
        read_all(sandbox, cache, folder / "first.log")
        read_changes(sandbox, cache, options.changes, folder / "second.log")


def read(sandbox: Sandbox, cache: DuckDBCache, log: Path) -> None:
    """Checks and reads with a fresh source, as every run of a user's script does."""
    with quiet(log):
        config = sandbox.config("source-stripe")
        source = airbyte.get_source("source-stripe", local_executable=binary("source-stripe"), config=config)
        source.check()
        source.select_streams(STREAMS)
        source.read(cache=cache)


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Sends PyAirbyte's thousands of lines to a file, whose end is shown if something fails."""
    with open(log, "w") as out:
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                yield
        except Exception:
            out.flush()
            print("\n".join(tail(log)[-60:]), file=sys.stderr)
            raise


def read_all(sandbox: Sandbox, cache: DuckDBCache, log: Path) -> None:
    """The first read: every row of the truth, once."""
    read(sandbox, cache, log)
    rows = []
    for stream in STREAMS:
        expected = ids_of(sandbox.truth("source-stripe", stream))
        cached = query(cache, f"SELECT id FROM {stream}")
        rows.append([stream, len(expected), len(cached), "yes" if sorted(expected) == sorted(cached) else "NO"])
    print_table("first read, into an empty cache", ["stream", "expected", "in the cache", "same ids"], rows)
    if any(row[3] == "NO" for row in rows):
        raise Failure("the cache does not hold the truth")


def read_changes(sandbox: Sandbox, cache: DuckDBCache, changes: int, log: Path) -> None:
    """The second read: the changed rows with their new values, and nothing else."""
    before = {stream: ids_of(sandbox.truth_now("source-stripe", stream)) for stream in STREAMS}
    sandbox.mutate("customers", changes, {"description": DESCRIPTION}, "customer.updated")
    sandbox.advance(LATER_S)
    expected = {stream: ids_of(sandbox.truth_now("source-stripe", stream)) - before[stream] for stream in STREAMS}
    customers = sandbox.truth_now("source-stripe", "customers")
    expected["customers"] = {record["id"] for record in customers if record.get("description") == DESCRIPTION}
    if len(expected["customers"]) != changes:
        raise Failure(f"the sandbox changed {len(expected['customers'])} customers instead of {changes}")

    started = datetime.now(timezone.utc)
    read(sandbox, cache, log)
    rows = []
    for stream in STREAMS:
        arrived = query(cache, f"SELECT id FROM {stream} WHERE _airbyte_extracted_at >= ?", started)
        rows.append([stream, len(expected[stream]), len(arrived), "yes" if sorted(expected[stream]) == sorted(arrived) else "NO"])
    print_table("second read, over the same cache", ["stream", "changed", "arrived", "same ids"], rows)
    if any(row[3] == "NO" for row in rows):
        raise Failure("the second read did not bring exactly the changed rows")
    described = query(cache, "SELECT id FROM customers WHERE description = ?", DESCRIPTION)
    if set(described) != expected["customers"]:
        raise Failure(f"{len(described)} customers in the cache have the new description instead of {changes}")
    print(f"the cache has the new values of all {changes} customers")


def ids_of(records: Iterable[dict]) -> set[str]:
    return {record["id"] for record in records}


def query(cache: DuckDBCache, sql: str, *values) -> list:
    """The first column of a query on the cache."""
    with cache.get_sql_engine().connect() as connection:
        return [row[0] for row in connection.exec_driver_sql(sql, values)]


if __name__ == "__main__":
    run_script(main)
