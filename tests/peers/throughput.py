"""What our source-stripe does by itself: speed, memory, endurance and manners.

    python3 tests/peers/throughput.py                   charges, 100,000 and 1,000,000 of them
    python3 tests/peers/throughput.py --rough           10,000 pages through the rough fault profile
    python3 tests/peers/throughput.py --rate-limit 25   what share of an enforced limit is used

The CPU time and the peak memory are the connector's own (wait4 on its process); its output goes
through a pipe, as an orchestrator reads it. --enforce ends the script with 1 when a target is
missed; a set of ids that differs from the sandbox's truth always does.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import CHILD_ENV, RECORD_PREFIX, Failure, PipeSink, Run, Sandbox, our_stripe, print_table, run_script, write_json

STREAM = "charges"
PAGE = 100
SIZES = [100_000, 1_000_000]
ROUGH_PAGES = 10_000
PEAK_RSS_TARGET_MIB = 48
FLATNESS_TARGET = 1.10
SPEED_TARGET = 150_000
RATE_USE_TARGET = 0.95
REJECTED_TARGET = 0.01
# High enough that the connector's own limiter never makes it wait.
UNLIMITED = 1_000_000


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.rough:
            report, problems = rough(options, folder)
        elif options.rate_limit:
            report, problems = rate_limited(options, folder)
        else:
            report, problems = speed(options, folder)
    if options.json:
        write_json(options.json, report)
    for problem in problems:
        print(f"missed: {problem}")
    if problems and options.enforce:
        raise Failure("; ".join(problems))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--rough", action="store_true", help="read 10,000 pages through faults and compare the ids with the truth")
    mode.add_argument("--rate-limit", type=int, metavar="N", help="have the sandbox enforce N requests a second")
    parser.add_argument("--rows", type=lambda text: [int(size) for size in text.split(",")], help="other sizes, separated by commas")
    parser.add_argument("--workers", type=int, help="num_workers of the connector")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--enforce", action="store_true", help="fail when a target is missed")
    return parser.parse_args()


def read(sandbox: Sandbox, options: argparse.Namespace, folder: Path, consume: Any, **settings: Any) -> Run:
    """One full read of the stream, its output handed to `consume`."""
    connector = our_stripe()
    if options.workers:
        settings["num_workers"] = options.workers
    config = write_json(folder / "config.json", sandbox.config("source-stripe", **settings))
    catalog = write_json(folder / "catalog.json", connector.catalog(config, [STREAM], "full_refresh"))
    sandbox.reset_counters()
    return connector.read(config, catalog, PipeSink(folder, "read", consume), timeout=3600)


# --- speed and memory ----------------------------------------------------------------------


def speed(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Reads each size once without faults."""
    results = []
    for rows in options.rows or SIZES:
        with Sandbox(rows=rows, seed=options.seed) as sandbox:
            count = Count()
            run = read(sandbox, options, folder, count, call_rate_limit=UNLIMITED)
            if count.records != rows:
                raise Failure(f"{count.records} records were read, the sandbox has {rows}")
            results.append({
                **run.as_json(), "records": rows, "requests": sandbox.requests().total, "output_mib": count.size / (1 << 20),
                "records_per_cpu_s": rows / run.cpu_s,
            })
    table = [
        [f"{r['records']:,}", r["requests"], f"{r['output_mib']:.0f}", f"{r['wall_s']:.2f}", f"{r['cpu_s']:.2f}",
         f"{r['records_per_cpu_s']:,.0f}", f"{r['peak_rss_mib']:.1f}"]
        for r in results
    ]
    print_table(STREAM, ["records", "requests", "output MiB", "wall s", "CPU s", "records/CPU s", "peak RSS MiB"], table)
    growth = results[-1]["peak_rss_mib"] / results[0]["peak_rss_mib"]
    print(f"peak RSS of the largest over the smallest: {growth:.2f}")
    problems = []
    if results[-1]["records_per_cpu_s"] < SPEED_TARGET:
        problems.append(f"under {SPEED_TARGET:,} records per CPU second")
    if results[-1]["peak_rss_mib"] > PEAK_RSS_TARGET_MIB:
        problems.append(f"peak RSS over {PEAK_RSS_TARGET_MIB} MiB")
    if growth > FLATNESS_TARGET:
        problems.append("peak RSS is not flat")
    return {"sizes": results, "peak_rss_growth": growth}, problems


class Count:
    """Counts records and bytes."""

    def __init__(self) -> None:
        self.records = self.size = 0

    def __call__(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.records += line.startswith(RECORD_PREFIX)
            self.size += len(line)


# --- endurance -----------------------------------------------------------------------------


def rough(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Reads through faults and compares the sorted ids with the truth, on disk."""
    rows = options.rows[0] if options.rows else ROUGH_PAGES * PAGE
    with Sandbox(rows=rows, seed=options.seed, options=["--faults", "rough"]) as sandbox:
        received = folder / "received"
        run = read(sandbox, options, folder, lambda lines: write_ids(received, ids_of(lines)), call_rate_limit=UNLIMITED)
        requests = sandbox.requests()
        expected = folder / "expected"
        write_ids(expected, (record["id"] for record in sandbox.truth("source-stripe", STREAM)))
    sort(received)
    sort(expected)
    total, distinct = count_sorted(received)
    missing, unknown = count_differences(expected, received)
    report = {
        **run.as_json(), "expected": count_sorted(expected)[0], "records": total, "twice": total - distinct,
        "missing": missing, "unknown": unknown, "requests": requests.total, "by_status": requests.by_status,
    }
    header = ["expected", "records", "missing", "unknown", "twice", "requests", "wall s", "CPU s", "peak RSS MiB"]
    row = [*(report[key] for key in header[:6]), f"{run.wall_s:.1f}", f"{run.cpu_s:.2f}", f"{run.peak_rss_mib:.1f}"]
    print_table(f"{STREAM} through the rough profile", header, [row])
    print("answers: " + ", ".join(f"{status} x {count}" for status, count in sorted(requests.by_status.items())))
    if missing or unknown or total != distinct:
        raise Failure("the records read through faults are not the truth")
    return report, []


def ids_of(lines: Iterable[bytes]) -> Iterable[str]:
    for line in lines:
        if line.startswith(RECORD_PREFIX):
            yield json.loads(line)["record"]["data"]["id"]


def write_ids(path: Path, ids: Iterable[str]) -> None:
    with open(path, "w") as file:
        file.writelines(f"{key}\n" for key in ids)


def sort(path: Path) -> None:
    """Sorts a file in place with the system's external sort, bytewise."""
    subprocess.run(["sort", "-o", str(path), str(path)], check=True, env={**CHILD_ENV, "LC_ALL": "C"})


def count_sorted(path: Path) -> tuple[int, int]:
    """Lines and distinct lines of a sorted file."""
    total = distinct = 0
    last = None
    with open(path) as lines:
        for line in lines:
            total += 1
            distinct += line != last
            last = line
    return total, distinct


def count_differences(expected: Path, received: Path) -> tuple[int, int]:
    """Distinct lines only in the first and only in the second of two sorted files."""
    missing = unknown = 0
    with open(expected) as left, open(received) as right:
        wanted, found = distinct_lines(left), distinct_lines(right)
        want, got = next(wanted, None), next(found, None)
        while want is not None or got is not None:
            if got is None or (want is not None and want < got):
                missing, want = missing + 1, next(wanted, None)
            elif want is None or got < want:
                unknown, got = unknown + 1, next(found, None)
            else:
                want, got = next(wanted, None), next(found, None)
    return missing, unknown


def distinct_lines(lines: Iterable[str]) -> Iterable[str]:
    last = None
    for line in lines:
        if line != last:
            yield line
        last = line


# --- manners -------------------------------------------------------------------------------


def rate_limited(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Reads under an enforced limit that the connector is told."""
    limit = options.rate_limit
    rows = options.rows[0] if options.rows else 100_000
    with Sandbox(rows=rows, seed=options.seed, options=["--rate-limit", str(limit)]) as sandbox:
        count = Count()
        run = read(sandbox, options, folder, count, call_rate_limit=limit)
        requests = sandbox.requests()
    if count.records != rows:
        raise Failure(f"{count.records} records were read, the sandbox has {rows}")
    rejected = requests.by_status.get("429", 0)
    rate = (requests.total - rejected) / run.wall_s
    report = {
        **run.as_json(), "limit": limit, "records": rows, "requests": requests.total, "rejected": rejected,
        "requests_per_s": rate, "used": rate / limit, "rejected_share": rejected / requests.total,
    }
    header = ["records", "requests", "wall s", "requests/s", "of the limit", "429s", "share"]
    row = [f"{rows:,}", requests.total, f"{run.wall_s:.1f}", f"{rate:.2f}", f"{rate / limit:.1%}", rejected, f"{report['rejected_share']:.2%}"]
    print_table(f"{STREAM} with {limit} requests a second", header, [row])
    problems = []
    if report["used"] < RATE_USE_TARGET:
        problems.append(f"under {RATE_USE_TARGET:.0%} of the limit used")
    if report["rejected_share"] >= REJECTED_TARGET:
        problems.append(f"{REJECTED_TARGET:.0%} or more of the requests were answered 429")
    return report, problems


if __name__ == "__main__":
    run_script(main)
