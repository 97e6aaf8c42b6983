"""Our source-salesforce beside Airbyte's on the same sandbox: what does it cost, and is all there?

    python3 tests/peers/salesforce_figures.py [PART...] [--json FILE] [--enforce] [--no-peer]

The parts, all of them if none is named:

    late      Bulk jobs that fail late: is every row there, is none lost behind the state?
    bulk      200,000 rows of 30 columns by Bulk: CPU time and peak memory, ours and the peer's
    memory    the same with 2,000,000 rows, ours alone: is the peak memory flat?
    quiet     a first incremental sync since 2000, and one after it with nothing new: API calls
    discover  1,000 objects, every answer 150 ms late
    spec      start to end

CPU time and peak memory are the connector's own (wait4 on its process); records leave through a
pipe. A missing or unknown row in one of our runs ends the script with 1; --enforce does that for a
missed target too.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness import (
    Connector, Failure, PipeSink, RECORD_PREFIX, Run, Sandbox, Sink, airbyte_salesforce, our_salesforce, print_table, run_measured,
    run_script, write_json,
)

STREAM = "Wide__c"
VERSION_PATHS = "/salesforce/services/data/"

LATE_ROWS = 40_000
LATE_DAYS = 700
LATE_RUNS = 20
# The recipe of the loss: 88 windows of 8 days, of which the 61st fails when the others are done.
RECIPE_STEP, RECIPE_JOB, RECIPE_AFTER_MS, JOB_MS = "P8D", 61, 13_000, 500

BULK_ROWS, MEMORY_ROWS = 200_000, 2_000_000
OBJECTS, LATENCY_MS = 1000, 150

CPU_TARGET = 60
PEAK_RSS_TARGET_MIB = 40
FLATNESS_TARGET = 1.10
QUIET_TARGET_S = 1.0
DISCOVER_TARGET_S, DISCOVER_RSS_TARGET_MIB = 7.0, 60
SPEC_TARGET = 100


def main() -> None:
    options = parse_options()
    report: dict[str, Any] = {}
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for part in options.parts:
            report[part] = PARTS[part](options, Path(name), problems)
    if options.json:
        write_json(options.json, report)
    for problem in problems:
        print(f"missed: {problem}")
    if problems and options.enforce:
        raise Failure("; ".join(problems))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=LATE_RUNS, help="late failures of ours")
    parser.add_argument("--peer-runs", type=int, default=1, help="late failures of the peer's, minutes each")
    parser.add_argument("--no-peer", action="store_true", help="leave the peer out")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--enforce", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    return options


class Rows:
    """Counts records, distinct ids and bytes of a stream that goes by."""

    def __init__(self, ids: bool):
        self.records = self.size = 0
        self.ids: set[str] | None = set() if ids else None

    def __call__(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if line.startswith(RECORD_PREFIX):
                self.records += 1
                if self.ids is not None:
                    self.ids.add(json.loads(line)["record"]["data"]["Id"])
            self.size += len(line)


def read(
    connector: Connector, sandbox: Sandbox, folder: Path, sync_mode: str, ids: bool = False, state: Path | None = None, **settings: Any
) -> tuple[Run, Rows, Sink]:
    """One read of the wide object; the counters hold its requests alone."""
    config = write_json(folder / "config.json", sandbox.config("source-salesforce", **settings))
    catalog = write_json(folder / "catalog.json", connector.catalog(config, [STREAM], sync_mode))
    sandbox.reset_counters()
    rows = Rows(ids)
    sink = PipeSink(folder, connector.name, rows)
    return connector.read(config, catalog, sink, timeout=3600, state=state), rows, sink


def api_calls(sandbox: Sandbox) -> int:
    """Requests that count against the org's quota: all but logins."""
    return sum(count for path, count in sandbox.requests().by_path.items() if path.startswith(VERSION_PATHS))


def jobs(sandbox: Sandbox) -> list[dict[str, Any]]:
    """All Bulk jobs that the sandbox has seen."""
    return sandbox.change("event", "salesforce", type="jobs")["jobs"]


# --- late failures -------------------------------------------------------------------------


def late(options: argparse.Namespace, folder: Path, problems: list[str]) -> Any:
    """Fails one job after the other at many points, beside the peer's recipe."""
    results = []
    for number in range(options.runs):
        results.append(late_run(options, folder, our_salesforce, *late_point(number)))
    if not options.no_peer:
        for _ in range(options.peer_runs):
            results.append(late_run(options, folder, airbyte_salesforce, RECIPE_STEP, [RECIPE_JOB], RECIPE_AFTER_MS))
    header = ["connector", "step", "jobs to fail", "after ms", "jobs", "failed", "records", "distinct", "missing", "wall s"]
    print_table(f"{LATE_ROWS:,} rows, one Bulk job fails late", header, [list(result.values()) for result in results])
    ours = [result for result in results if result["connector"] == "tributary"]
    lost = [result for result in ours if result["missing"]]
    if lost:
        raise Failure(f"rows are missing in {len(lost)} of our runs")
    if ours and not any(result["failed"] for result in ours):
        raise Failure("no job of ours failed, which proves nothing")
    return results


def late_point(number: int) -> tuple[str | None, list[int], int]:
    """Step, jobs and time of our run of that number.

    The recipe itself comes every fifth time, with Bulk asked for, since its windows are small
    enough for REST; otherwise the step is left to the connector, which makes few jobs: the first
    one, two or three fail, sooner or later.
    """
    if number % 5 == 4:
        return RECIPE_STEP, [1 + 12 * number % 88], 2000 + 1500 * number % RECIPE_AFTER_MS
    return None, list(range(1, 2 + number % 3)), 300 + 400 * number


def late_run(
    options: argparse.Namespace, folder: Path, make: Callable[..., Connector], step: str | None, failing: list[int], after_ms: int
) -> dict[str, Any]:
    scripts = [f"{{ job = {job}, action = 'fail', after_ms = {after_ms} }}" for job in failing]
    settings = f"data.days = {LATE_DAYS}\njobs.delay_ms = {JOB_MS}\njobs.script = [{', '.join(scripts)}]"
    with Sandbox(rows=LATE_ROWS, seed=options.seed, salesforce=settings) as sandbox:
        connector = make(sandbox) if make is airbyte_salesforce else make()
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - LATE_DAYS * 86_400 - 86_400))
        config = {"start_date": start, **({"stream_slice_step": step, "force_use_bulk_api": True} if step else {})}
        run, rows, _ = read(connector, sandbox, folder, "incremental", ids=True, **config)
        made = jobs(sandbox)
    return {
        "connector": connector.name, "step": step or "own", "jobs_to_fail": " ".join(map(str, failing)), "after_ms": after_ms, "jobs": len(made),
        "failed": sum(job["state"] == "Failed" for job in made), "records": rows.records, "distinct": len(rows.ids),
        "missing": LATE_ROWS - len(rows.ids), "wall_s": round(run.wall_s, 1),
    }


# --- speed and memory ----------------------------------------------------------------------


def bulk(options: argparse.Namespace, folder: Path, problems: list[str]) -> Any:
    """A full read by Bulk, ours and the peer's."""
    with Sandbox(rows=BULK_ROWS, seed=options.seed) as sandbox:
        results = [full_read(our_salesforce(), sandbox, folder)]
        if not options.no_peer:
            results.append(full_read(airbyte_salesforce(sandbox), sandbox, folder))
    show_reads(results)
    ours = results[0]
    if ours["peak_rss_mib"] > PEAK_RSS_TARGET_MIB:
        problems.append(f"peak RSS over {PEAK_RSS_TARGET_MIB} MiB")
    if len(results) > 1:
        ratio = results[1]["cpu_s"] / ours["cpu_s"]
        print(f"CPU time: 1/{ratio:.0f} of the peer's")
        if ratio < CPU_TARGET:
            problems.append(f"CPU time is 1/{ratio:.0f} of the peer's, the target is 1/{CPU_TARGET}")
    return results


def memory(options: argparse.Namespace, folder: Path, problems: list[str]) -> Any:
    """Does the peak memory grow with the rows?"""
    results = []
    for rows in (BULK_ROWS, MEMORY_ROWS):
        with Sandbox(rows=rows, seed=options.seed) as sandbox:
            results.append(full_read(our_salesforce(), sandbox, folder))
    show_reads(results)
    growth = results[1]["peak_rss_mib"] / results[0]["peak_rss_mib"]
    print(f"peak RSS of the larger over the smaller: {growth:.2f}")
    if growth > FLATNESS_TARGET:
        problems.append("peak RSS is not flat")
    if results[1]["peak_rss_mib"] > PEAK_RSS_TARGET_MIB:
        problems.append(f"peak RSS over {PEAK_RSS_TARGET_MIB} MiB")
    return results


def full_read(connector: Connector, sandbox: Sandbox, folder: Path) -> dict[str, Any]:
    run, rows, _ = read(connector, sandbox, folder, "full_refresh")
    if rows.records != sandbox.rows:
        raise Failure(f"{connector.name}: {rows.records} records were read, the sandbox has {sandbox.rows}")
    if not jobs(sandbox):
        raise Failure(f"{connector.name} did not use Bulk")
    return {
        "connector": connector.name, "records": rows.records, "api_calls": api_calls(sandbox), "output_mib": rows.size / (1 << 20),
        **run.as_json(),
    }


def show_reads(results: list[dict[str, Any]]) -> None:
    table = [
        [r["connector"], f"{r['records']:,}", r["api_calls"], f"{r['output_mib']:.0f}", f"{r['wall_s']:.2f}", f"{r['cpu_s']:.2f}",
         f"{r['peak_rss_mib']:.1f}"]
        for r in results
    ]
    header = ["connector", "records", "API calls", "output MiB", "wall s", "CPU s", "peak RSS MiB"]
    print_table(f"{STREAM}, 30 columns, full refresh by Bulk", header, table)


# --- incremental reads ---------------------------------------------------------------------


def quiet(options: argparse.Namespace, folder: Path, problems: list[str]) -> Any:
    """A first sync since 2000, and the next one with nothing new."""
    results = []
    with Sandbox(rows=LATE_ROWS, seed=options.seed, salesforce=f"jobs.delay_ms = {JOB_MS}") as sandbox:
        connectors = [our_salesforce(), *([] if options.no_peer else [airbyte_salesforce(sandbox)])]
        for connector in connectors:
            before = len(jobs(sandbox))
            start = {"start_date": "2000-01-01T00:00:00Z"}
            run, rows, sink = read(connector, sandbox, folder, "incremental", **start)
            made = len(jobs(sandbox)) - before
            results.append({"connector": connector.name, "sync": "first", "jobs": made, "api_calls": api_calls(sandbox), "records": rows.records, **run.as_json()})
            states = [message["state"] for message in sink.messages() if message["type"] == "STATE"]
            state = write_json(folder / "state.json", states[-1:])
            run, rows, _ = read(connector, sandbox, folder, "incremental", state=state, **start)
            made = len(jobs(sandbox)) - before - made
            results.append({"connector": connector.name, "sync": "quiet", "jobs": made, "api_calls": api_calls(sandbox), "records": rows.records, **run.as_json()})
    table = [[r["connector"], r["sync"], r["records"], r["jobs"], r["api_calls"], f"{r['wall_s']:.2f}", f"{r['cpu_s']:.2f}"] for r in results]
    print_table(f"{STREAM}, incremental since 2000", ["connector", "sync", "records", "Bulk jobs", "API calls", "wall s", "CPU s"], table)
    first, second = results[:2]
    if first["records"] != LATE_ROWS or second["records"]:
        raise Failure(f"{first['records']} rows were read first, {second['records']} after that")
    if first["jobs"] != 1:
        problems.append(f"the first sync made {first['jobs']} Bulk jobs")
    if second["api_calls"] != 1:
        problems.append(f"the quiet sync made {second['api_calls']} API calls")
    if second["wall_s"] > QUIET_TARGET_S:
        problems.append(f"the quiet sync took {second['wall_s']:.1f} s")
    return results


# --- discover and spec ---------------------------------------------------------------------


def discover(options: argparse.Namespace, folder: Path, problems: list[str]) -> Any:
    """A large org, every answer late."""
    results = []
    latency = ["--latency-ms", str(LATENCY_MS)]
    with Sandbox(rows=100, seed=options.seed, salesforce=f"data.objects = {OBJECTS}", options=latency) as sandbox:
        config = write_json(folder / "config.json", sandbox.config("source-salesforce"))
        for connector in [our_salesforce(), *([] if options.no_peer else [airbyte_salesforce(sandbox)])]:
            sandbox.reset_counters()
            sink = Sink(folder, connector.name)
            run = run_measured([*connector.command, "discover", "--config", str(config)], connector.env, sink, timeout=600)
            if run.exit_code != 0:
                raise Failure(f"{connector.name}: discover ended with exit code {run.exit_code}\n{sink.complaints()}")
            streams = next(len(m["catalog"]["streams"]) for m in sink.messages() if m["type"] == "CATALOG")
            results.append({"connector": connector.name, "streams": streams, "api_calls": api_calls(sandbox), **run.as_json()})
    table = [[r["connector"], r["streams"], r["api_calls"], f"{r['wall_s']:.2f}", f"{r['cpu_s']:.2f}", f"{r['peak_rss_mib']:.1f}"] for r in results]
    print_table(f"discover, {OBJECTS:,} objects, {LATENCY_MS} ms", ["connector", "streams", "API calls", "wall s", "CPU s", "peak RSS MiB"], table)
    if results[0]["wall_s"] > DISCOVER_TARGET_S:
        problems.append(f"discover took {results[0]['wall_s']:.1f} s")
    if results[0]["peak_rss_mib"] > DISCOVER_RSS_TARGET_MIB:
        problems.append(f"discover took {results[0]['peak_rss_mib']:.0f} MiB")
    return results


def spec(options: argparse.Namespace, folder: Path, problems: list[str]) -> Any:
    """The fastest of several."""
    with Sandbox(rows=1) as sandbox:
        walls = {"tributary": our_salesforce().spec_wall(10)}
        if not options.no_peer:
            walls["airbyte"] = airbyte_salesforce(sandbox).spec_wall(3)
    print_table("spec, the fastest run", ["connector", "wall ms"], [[name, f"{wall * 1000:.1f}"] for name, wall in walls.items()])
    if "airbyte" in walls and walls["airbyte"] / walls["tributary"] < SPEC_TARGET:
        problems.append(f"spec took 1/{walls['airbyte'] / walls['tributary']:.0f} of the peer's time")
    return walls


PARTS: dict[str, Callable[[argparse.Namespace, Path, list[str]], Any]] = {
    "late": late, "bulk": bulk, "memory": memory, "quiet": quiet, "discover": discover, "spec": spec,
}

if __name__ == "__main__":
    run_script(main)
