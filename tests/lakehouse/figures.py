"""CPU seconds, memory and time of the destination, with `--peer` beside dlt and PyAirbyte's DuckDB cache on
the same records: DLT_PYTHON names a Python that has `dlt[parquet]`, PYAIRBYTE_PYTHON one that has `airbyte`.

    .venv-lakehouse/bin/python tests/lakehouse/figures.py [--rows N] [--upsert] [--streams] [--peer]

CPU time and peak memory are those of the program's process alone, from wait4. The records are made
once, into a file.
"""

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

from lake import Lake, measured, state, status, stream

TEXT, WHOLE, TRUTH, OBJECT = ({"type": ["null", kind]} for kind in ("string", "integer", "boolean", "object"))
CHARGE = {
    "id": TEXT, "object": TEXT, "amount": WHOLE, "amount_captured": WHOLE, "amount_refunded": WHOLE, "application": TEXT,
    "balance_transaction": TEXT, "billing_details": OBJECT, "captured": TRUTH, "created": WHOLE, "currency": TEXT,
    "customer": TEXT, "description": TEXT, "disputed": TRUTH, "failure_code": TEXT, "invoice": TEXT, "livemode": TRUTH,
    "metadata": OBJECT, "paid": TRUTH, "payment_intent": TEXT, "payment_method": TEXT, "payment_method_details": OBJECT,
    "receipt_email": TEXT, "outcome": OBJECT, "status": TEXT, "updated": WHOLE,
}
SMALL = {"id": {"type": "integer"}, "name": TEXT, "amount": {"type": "number"}, "active": {"type": "boolean"}, "updated_at": {"type": "string", "format": "date-time"}}


def charge(n: int, chance: random.Random) -> dict:
    h = "%024x" % chance.getrandbits(96)
    return {
        "id": f"ch_{h}", "object": "charge", "amount": n % 100_000, "amount_captured": n % 100_000, "amount_refunded": 0, "application": None,
        "balance_transaction": f"txn_{h[::-1]}",
        "billing_details": {"address": {"city": "Berlin", "country": "DE", "line1": f"Street {n % 999}", "line2": None, "postal_code": f"{n % 99999:05}", "state": None}, "email": f"user{n}@example.com", "name": f"User {n}", "phone": None},
        "captured": True, "created": 1_700_000_000 + n, "currency": "eur", "customer": f"cus_{h[3:17]}", "description": f"Order number {n}",
        "disputed": False, "failure_code": None, "invoice": f"in_{h[5:19]}", "livemode": False, "metadata": {"order_id": str(n), "channel": "web"},
        "paid": True, "payment_intent": f"pi_{h[7:]}", "payment_method": f"pm_{h[8:]}",
        "payment_method_details": {"card": {"brand": "visa", "checks": {"address_line1_check": None, "cvc_check": "pass"}, "country": "US", "exp_month": n % 12 + 1, "exp_year": 2030, "fingerprint": h[:16], "funding": "credit", "last4": "4242", "network": "visa"}, "type": "card"},
        "receipt_email": None,
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "seller_message": "Payment complete.", "type": "authorized"},
        "status": "succeeded", "updated": 1_700_000_000 + n,
    }


def small(n: int, chance: random.Random) -> dict:
    return {"id": n, "name": f"user {n * 7919 % 1_000_000}", "amount": round(chance.random() * 1000, 2), "active": n % 3 > 0, "updated_at": f"2026-01-{n % 28 + 1:02}T{n // 60 % 24:02}:{n % 60:02}:{n * 7 % 60:02}Z"}


def compact(data, name="s") -> str:
    return json.dumps({"type": "RECORD", "record": {"stream": name, "data": data, "emitted_at": 1769853600000}}, separators=(",", ":"))


def fill(path: Path, make, rows: int, names=("s",)) -> float:
    """Records, dealt to the streams in turn; gives the bytes a line."""
    chance = random.Random(5)
    with open(path, "w") as out:
        for n in range(rows):
            out.write(compact(make(n, chance), names[n % len(names)]) + "\n")
        for name in names:
            out.write(state(1, name) + "\n" + status(name=name) + "\n")
    return path.stat().st_size / rows


def told(title: str, rows: int, wall: float, cpu: float, memory: float) -> None:
    print(f"{title:<46} {rows / cpu:>10,.0f} records/CPU-s {cpu:>7.2f} CPU-s {wall:>7.2f} s {memory:>6.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--upsert", action="store_true", help="also 100,000 keys into ten times --rows")
    parser.add_argument("--streams", action="store_true", help="also 50 streams in turn")
    parser.add_argument("--peer", action="store_true", help="also dlt and PyAirbyte, with a tenth of the rows")
    options = parser.parse_args()
    for title, make, properties in (("charges", charge, CHARGE), ("small records", small, SMALL)):
        with Lake.fresh() as lake:
            path = lake.folder / "records"
            size = fill(path, make, options.rows)
            told(f"append, {title} of {size:.0f} B", options.rows, *measured(lake.command([stream("s", properties)]), path))
            if options.peer:
                peers(path, options.rows // 10, title, properties)
    commits()
    if options.streams:
        many(options.rows)
    if options.upsert:
        upsert(options.rows * 10)


def commits() -> None:
    """One stream, a commit for each of 100 states."""
    with Lake.fresh(commit_seconds=0) as lake:
        path = lake.folder / "records"
        with open(path, "w") as out:
            for n in range(100):
                out.write(compact(small(n, random.Random(n))) + "\n" + state(n) + "\n")
            out.write(status() + "\n")
        wall, cpu, memory = measured(lake.command([stream("s", SMALL)]), path)
        print(f"100 commits in a folder: {wall * 10:.1f} ms a commit, {cpu * 10:.1f} ms of CPU", flush=True)


def many(rows: int) -> None:
    names = [f"s{n}" for n in range(50)]
    with Lake.fresh() as lake:
        path = lake.folder / "records"
        fill(path, charge, rows, names)
        told("50 streams in turn, charges", rows, *measured(lake.command([stream(name, CHARGE) for name in names]), path))


def upsert(rows: int) -> None:
    """A tenth of a thousand keys of a table of ten commits, and how long DuckDB takes to count."""
    for config in ({}, {"format_version": 3}):
        with Lake.fresh(**config) as lake:
            path = lake.folder / "records"
            part = rows // 10
            for n in range(10):
                with open(path, "w") as out:
                    chance = random.Random(n)
                    for id in range(n * part, (n + 1) * part):
                        out.write(compact(small(id, chance)) + "\n")
                    out.write(state(n) + "\n" + status() + "\n")
                # The keys are new, so that this is quick; the next write deduplicates.
                measured(lake.command([stream("s", SMALL)]), path)
            chance = random.Random(11)
            with open(path, "w") as out:
                for id in chance.sample(range(rows), 100_000):
                    out.write(compact(small(id, chance) | {"updated_at": "2027-01-01T00:00:00Z"}) + "\n")
                out.write(state(99) + "\n" + status() + "\n")
            command = lake.command([stream("s", SMALL, mode="append_dedup", key=["id"], cursor="updated_at")])
            told(f"100,000 keys into {rows:,} rows, format {config.get('format_version', 2)}", 100_000, *measured(command, path))
            start = time.time()
            ((count,),) = lake.sql("SELECT count(*) FROM t")
            assert count == rows, count
            print(f"   DuckDB counts the table in {time.time() - start:.2f} s", flush=True)


DLT = """
import json, sys, dlt
def records():
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            yield message["record"]["data"]
pipeline = dlt.pipeline("p", destination=dlt.destinations.filesystem(sys.argv[1]), dataset_name="d", pipelines_dir=sys.argv[1] + "/work")
pipeline.run(dlt.resource(records, name="s", max_table_nesting=0), loader_file_format="parquet")
"""


PYAIRBYTE = """
import json, os, sys
os.environ["AIRBYTE_OFFLINE_MODE"] = os.environ["DO_NOT_TRACK"] = "1"
import airbyte
from airbyte.caches import DuckDBCache
source = airbyte.get_source("source-file", local_executable=sys.argv[1] + "/source", config={})
source.select_all_streams()
source.read(cache=DuckDBCache(db_path=sys.argv[1] + "/cache.duckdb", cache_dir=sys.argv[1] + "/files"))
"""
# A source that prints a file.
SOURCE = """#!/bin/sh
cd "$(dirname "$0")"
case $1 in
    spec) echo '{"type": "SPEC", "spec": {"connectionSpecification": {"type": "object", "properties": {}}}}' ;;
    check) echo '{"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}' ;;
    discover) cat catalog ;;
    read) cat records ;;
esac
"""


def peers(path: Path, rows: int, title: str, properties: dict) -> None:
    """The same records through the peers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open(path) as whole, open(folder / "records", "w") as out:
            for _, line in zip(range(rows), whole):
                out.write(line)
        listed = {"name": "s", "json_schema": {"type": "object", "properties": properties}, "supported_sync_modes": ["full_refresh"]}
        (folder / "catalog").write_text(json.dumps({"type": "CATALOG", "catalog": {"streams": [listed]}}) + "\n")
        (folder / "source").write_text(SOURCE)
        (folder / "source").chmod(0o755)
        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        for peer, variable, script in (("dlt to Parquet", "DLT_PYTHON", DLT), ("PyAirbyte to DuckDB", "PYAIRBYTE_PYTHON", PYAIRBYTE)):
            python = os.environ.get(variable)
            if python:
                command = ["/bin/sh", "-c", 'exec "$@" 2> /dev/null', "-", python, "-c", script, name]
                told(f"{peer}, {title}", rows, *measured(command, folder / "records"))
            else:
                print(f"{peer} is left out: {variable} is not set", flush=True)


if __name__ == "__main__":
    main()
