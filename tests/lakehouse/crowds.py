"""Several writers to one table, kills by the hundred, and many streams in little memory.

    .venv-lakehouse/bin/python tests/lakehouse/crowds.py [--kills N] [--streams N]
"""

import argparse
import json
import random
import subprocess
import threading
import time

from lake import Lake, measured, record, state, states, status, stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="kills of each mode")
    parser.add_argument("--streams", type=int, default=200)
    options = parser.parse_args()
    several_writers()
    for mode, config in (("append", {}), ("append_dedup", {}), ("append_dedup", {"format_version": 3}), ("overwrite", {})):
        kills(mode, config, options.kills)
    many_streams(options.streams)


def several_writers() -> None:
    """Four processes at once: every row of each is there once, whatever the mode."""
    for mode in ("append", "append_dedup"):
        with Lake.fresh(commit_seconds=0) as lake:
            configured = stream(mode=mode, key=["id"], cursor="c")
            processes = []
            for writer in range(4):
                lines = []
                for step in range(12):
                    ids = range(100) if mode == "append_dedup" else range(writer * 10_000 + step * 100, writer * 10_000 + step * 100 + 100)
                    lines += [record({"id": id, "v": f"{writer}", "c": step * 10 + writer}) for id in ids]
                    lines.append(state(step))
                command = lake.command([configured], tag=str(writer))
                processes.append((subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True), "\n".join(lines) + "\n"))
            threads = [threading.Thread(target=process.communicate, args=(text,)) for process, text in processes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [process.returncode for process, _ in processes] == [0] * 4
            rows = lake.rows("id", "v", "c")
            if mode == "append":
                assert len(rows) == len(set(rows)) == 4 * 12 * 100, len(rows)
            else:
                assert rows == [(id, "3", 113) for id in sorted(range(100), key=lambda id: repr((id,)))], rows[:5]
        print(f"{mode}: four writers at once, nothing lost, nothing twice")


def kills(mode: str, config: dict, wanted: int) -> None:
    """A reader that feeds, is cut off by kill -9, and goes on from the last state that it got."""
    chance = random.Random(7)
    with Lake.fresh(commit_seconds=0, **config) as lake:
        ids = dict(generation_id=2, minimum_generation_id=2, sync_id=5) if mode == "overwrite" else dict(sync_id=5)
        configured = stream(mode="append" if mode == "overwrite" else mode, key=["id"], cursor="c", **ids)
        make = repeating if mode == "append_dedup" else unique
        done = count = 0
        sent = [0]
        while count < wanted:
            process = subprocess.Popen(lake.command([configured]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            feeder = threading.Thread(target=feed, args=(process, done, make, sent))
            feeder.start()
            killer = threading.Timer(0.02 + chance.random() * 0.15, process.kill)
            killer.start()
            for line in process.stdout:
                message = json.loads(line) if line.endswith("\n") else {}
                if message.get("type") == "STATE":
                    done = max(done, message["state"]["stream"]["stream_state"]["at"])
            process.wait()
            feeder.join()
            assert process.returncode == -9, process.returncode
            count += 1
        # What was committed last may reach beyond the last state that came back, so everything is sent again.
        end = max(sent) + 50
        lake.write(configured, [*(line for at in range(done, end, 50) for line in interval(at, make)), status()])
        found = [id for (id,) in lake.rows("id")]
        wanted_ids = sorted({make(at)["id"] for at in range(end)})
        assert sorted(found) == wanted_ids, f"{mode}: {len(found)} rows, {len(set(found))} keys, expected {len(wanted_ids)}"
        if mode == "append_dedup":
            newest = {}
            for at in range(end):
                newest[make(at)["id"]] = at
            assert dict(lake.rows("id", "c")) == newest
    print(f"{mode} {config or ''}: {count} kills over {end} records, 0 lost, 0 twice")


def unique(at: int) -> dict:
    """Each record has an id of its own."""
    return {"id": at, "v": "x" * 20, "c": at}


def repeating(at: int) -> dict:
    """Every third record is a newer version of an older one."""
    return {"id": at if at % 3 else at // 3, "v": "y", "c": at}


def interval(at: int, make) -> list[str]:
    """Fifty records from a place on, and the state after them."""
    return [*(record(make(n)) for n in range(at, at + 50)), state(at + 50)]


def feed(process: subprocess.Popen, done: int, make, sent: list) -> None:
    """Records from a state on, a state every fifty of them, until nobody takes them."""
    try:
        while True:
            lines = interval(done, make)
            done += 50
            sent.append(done)
            process.stdin.write("\n".join(lines) + "\n")
            process.stdin.flush()
            time.sleep(0.001)
    except (BrokenPipeError, ValueError):
        pass


def many_streams(count: int) -> None:
    """Records dealt to many streams in turn, in the memory of a few."""
    with Lake.fresh() as lake:
        properties = {f"f{n}": {"type": "string"} for n in range(25)} | {"id": {"type": "integer"}}
        streams = [stream(f"s{n}", properties) for n in range(count)]
        command = lake.command(streams)
        path = lake.folder / "records"
        chance = random.Random(3)
        rows = 100_000
        with open(path, "w") as out:
            for at in range(rows):
                data = {"id": at} | {f"f{n}": f"{chance.getrandbits(150):x}" for n in range(0, 25)}
                out.write(record(data, f"s{at % count}") + "\n")
            for n in range(count):
                out.write(state(1, f"s{n}") + "\n" + status(name=f"s{n}") + "\n")
        _, _, memory = measured(command, path)
        total = sum(lake.sql("SELECT count(*) FROM t", f"s{n}")[0][0] for n in range(0, count, max(1, count // 20)))
        assert total == sum(len(range(n, rows, count)) for n in range(0, count, max(1, count // 20))), total
        print(f"{count} streams in turn: peak memory {memory:.0f} MiB")


if __name__ == "__main__":
    main()
