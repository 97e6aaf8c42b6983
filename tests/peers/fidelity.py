"""Airbyte's own source-stripe reads the sandbox: does it find everything?

The connector knows nothing of the sandbox, so it is a stranger's proof that the emulated API is
faithful where a sync depends on it. For each stream the set of ids it reads must equal the
sandbox's truth, and no id may come twice. Exits with 1 on any difference.

    python3 tests/peers/fidelity.py [--rows N] [--seed N]
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from harness import Failure, Sandbox, Sink, airbyte_stripe, print_table, run_script, write_json

STREAMS = ["customers", "charges", "invoices", "subscriptions", "events"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300, help="objects of each resource in the sandbox")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--streams", type=lambda text: text.split(","), default=STREAMS, help="other streams, separated by commas")
    options = parser.parse_args()
    with Sandbox(rows=options.rows, seed=options.seed) as sandbox, tempfile.TemporaryDirectory() as folder:
        read = read_ids(sandbox, options.streams, Path(folder))
        rows = [compare(sandbox, stream, read[stream]) for stream in options.streams]
    print_table("Airbyte's source-stripe reads the sandbox", ["stream", "expected", "read", "missing", "unknown", "twice"], rows)
    if any(row[3] or row[4] or row[5] for row in rows):
        raise Failure("the sandbox and its reader disagree")


def read_ids(sandbox: Sandbox, streams: list[str], folder: Path) -> dict[str, Counter]:
    """How often each id of each stream was read."""
    connector = airbyte_stripe(sandbox)
    config = write_json(folder / "config.json", sandbox.config("source-stripe"))
    catalog = write_json(folder / "catalog.json", connector.catalog(config, streams, "full_refresh"))
    sink = Sink(folder, "airbyte")
    run = connector.read(config, catalog, sink, timeout=300)
    print(f"read in {run.wall_s:.1f} s")
    ids: dict[str, Counter] = {stream: Counter() for stream in streams}
    for stream, data in sink.records():
        ids[stream][data["id"]] += 1
    return ids


def compare(sandbox: Sandbox, stream: str, read: Counter) -> list:
    """One row of the table; the first ids of every difference are printed."""
    expected = {record["id"] for record in sandbox.truth("source-stripe", stream)}
    if not expected:
        raise Failure(f"the sandbox's truth for {stream} is empty, which would prove nothing")
    differences = {
        "missing": sorted(expected - read.keys()),
        "unknown": sorted(read.keys() - expected),
        "twice": sorted(key for key, count in read.items() if count > 1),
    }
    for kind, ids in differences.items():
        if ids:
            print(f"{stream}: {len(ids)} {kind}, such as {', '.join(ids[:5])}")
    return [stream, len(expected), read.total(), *(len(ids) for ids in differences.values())]


if __name__ == "__main__":
    run_script(main)
