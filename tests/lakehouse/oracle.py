"""Random records, cursors, deletions, commits and deaths, compared with a model of a few lines.

    .venv-lakehouse/bin/python tests/lakehouse/oracle.py [--rounds N] [--seed N]

Each round is a stream with its own mode and settings. It is fed to several processes one after the
other, some of which are killed at a random moment; the next one goes on from the last state that came
back. In the end DuckDB and pyiceberg must both see exactly the model's rows.
"""

import argparse
import json
import random
import subprocess
import threading

from lake import Lake, record, state, status, stream

PROPERTIES = {
    "id": {"type": "integer"},
    "part": {"type": ["null", "string"]},
    "c": {"type": ["null", "integer"]},
    "v": {"type": "string"},
    "_ab_cdc_deleted_at": {"type": ["null", "string"]},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kills = sum(play(random.Random(options.seed * 1000 + number), number) for number in range(options.rounds))
    print(f"{options.rounds} rounds with {kills} deaths: every row as the model has it")


def play(chance: random.Random, number: int) -> int:
    mode = ("append_dedup", "append_dedup", "append")[number % 3]
    config = {"format_version": chance.choice([2, 3]), "commit_seconds": chance.choice([0, 300])}
    if chance.random() < 0.3:
        config["partitioning"] = {"s": [chance.choice(["bucket(3, id)", "v", "truncate(1, part)"])]}
    cursor = chance.choice(["c", None])
    configured = stream(properties=PROPERTIES, mode=mode, key=["id", "part"], cursor=cursor, sync_id=number)
    with Lake.fresh(**config) as lake:
        rows = [row(chance) for _ in range(chance.randrange(1, 1200))]
        kills = feed(lake, configured, rows, chance)
        expected = model(rows, cursor) if mode == "append_dedup" else [(r["id"], r.get("part"), r.get("c"), r["v"]) for r in rows]
        seen = lake.rows("id", "part", "c", "v")
        assert seen == sorted(expected, key=repr), f"round {number} {mode} {config}: {len(seen)} rows, not {len(expected)}; differences: {sorted(set(seen) ^ set(expected), key=repr)[:6]}"
    return kills


def row(chance: random.Random) -> dict:
    found = {"id": chance.randrange(40), "v": chance.choice("abcdefg")}
    if chance.random() < 0.8:
        found["part"] = chance.choice(["x", "y", None])
    if chance.random() < 0.9:
        found["c"] = chance.randrange(30)
    if chance.random() < 0.1:
        found["_ab_cdc_deleted_at"] = "2026-01-01T00:00:00Z"
    return found


def model(rows: list[dict], cursor: str | None) -> list[tuple]:
    """The greatest cursor of a key stays, of equals the last; a deletion takes part like a row. What a
    deletion leaves behind is forgotten from commit to commit, so keys are compared within a model only
    where the order of commits cannot matter: deletions carry the greatest cursor (see `feed`)."""
    kept: dict = {}
    for found in rows:
        key = (found["id"], found.get("part"))
        old = kept.get(key)
        rank = lambda r: -1 if r.get("c") is None else r["c"]
        if old is None or cursor is None or rank(found) >= rank(old):
            kept[key] = found
    alive = (found for found in kept.values() if not found.get("_ab_cdc_deleted_at"))
    return [(found["id"], found.get("part"), found.get("c"), found["v"]) for found in alive]


def feed(lake: Lake, configured: dict, rows: list[dict], chance: random.Random) -> int:
    if configured["destination_sync_mode"] == "append_dedup" and configured.get("cursor_field"):
        # No row comes after a deletion with a lesser cursor.
        greatest: dict = {}
        for found in rows:
            key = (found["id"], found.get("part"))
            if found.get("_ab_cdc_deleted_at"):
                greatest[key] = found["c"] = max(greatest.get(key, 0), found.get("c") or 0)
            elif key in greatest:
                found["c"] = greatest[key] + 1 + (found.get("c") or 0)
    done, kills = 0, 0
    pace = chance.randrange(1, 200)
    while done < len(rows):
        lines, at = [], done
        while at < len(rows):
            step = rows[at : at + pace]
            lines += [record(found) for found in step]
            at += len(step)
            lines.append(state(at))
        last = chance.random() < 0.4
        came, killed = run(lake, configured, lines + ([status()] if last else []), None if last else chance.random() * 0.06)
        kills += killed
        done = max([done, *came])
    return kills


def run(lake: Lake, configured: dict, lines: list[str], kill_after: float | None) -> tuple[list, int]:
    """A process, killed after some seconds; the states that came back, and whether it died."""
    process = subprocess.Popen(lake.command([configured]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(kill_after, process.kill) if kill_after is not None else None
    if timer:
        timer.start()
    out, _ = process.communicate("\n".join(lines) + "\n")
    if timer:
        timer.cancel()
    assert process.returncode in (0, -9), f"exit code {process.returncode}: {out[-1500:]}"
    whole = [line for line in out.split("\n")[:-1]]
    messages = map(json.loads, whole)
    return [m["state"]["stream"]["stream_state"]["at"] for m in messages if m["type"] == "STATE"], int(process.returncode == -9)


if __name__ == "__main__":
    main()
