"""A bench for `destination-lakehouse`: the real program, and strangers that read what it wrote."""

import contextlib
import glob
import json
import os
import site
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import duckdb
from pyiceberg.table import StaticTable

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("BIN_DIR", ROOT / "target" / "release")) / "destination-lakehouse"


def duck() -> duckdb.DuckDBPyConnection:
    """DuckDB with its iceberg extension, which is installed as a Python package beside it."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("SET TimeZone = 'UTC'")
    for name in ("avro", "iceberg"):
        (path,) = [
            found
            for folder in site.getsitepackages()
            for found in glob.glob(f"{folder}/duckdb_extension_{name}/extensions/v{duckdb.__version__}/*")
            if found.endswith(".duckdb_extension")
        ]
        connection.execute(f"LOAD '{path}'")
    return connection


def stream(name="s", properties=None, mode="append", key=None, cursor=None, sync_mode="incremental", **extra):
    """A configured stream."""
    properties = properties or {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}, "c": {"type": "integer"}}
    configured = {
        "stream": {"name": name, "json_schema": {"type": "object", "properties": properties}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": sync_mode,
        "destination_sync_mode": mode,
    }
    namespace = extra.pop("namespace", None)
    if namespace:
        configured["stream"]["namespace"] = namespace
    if key:
        configured["primary_key"] = [[part] if isinstance(part, str) else part for part in key]
    if cursor:
        configured["cursor_field"] = [cursor]
    return configured | extra


def record(data, name="s", emitted_at=1769853600000, **extra):
    """A RECORD line."""
    return json.dumps({"type": "RECORD", "record": {"stream": name, "data": data, "emitted_at": emitted_at} | extra}, ensure_ascii=False)


def state(value, name="s", **extra):
    """A STATE line of a stream; a bare value becomes `{"at": value}`."""
    value = value if isinstance(value, dict) else {"at": value}
    return json.dumps({"type": "STATE", "state": {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": value}} | extra})


def status(value="COMPLETE", name="s"):
    """A line that tells where the source stands with a stream."""
    return json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.0, "stream_status": {"stream_descriptor": {"name": name}, "status": value}}})


# Run in an interpreter of its own, without imports: the kernel counts the memory of whoever starts a
# process for the process, and this one has whole query engines loaded.
MEASURE = """
import os, subprocess, sys, time
start = time.time()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), time.time() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def measured(command: list, path: Path) -> tuple[float, float, float]:
    """Runs a command with a file as its input: wall and CPU seconds, and peak MiB."""
    with open(path, "rb") as records:
        done = subprocess.run([sys.executable, "-S", "-E", "-c", MEASURE, *command], stdin=records, stdout=subprocess.PIPE, text=True)
    code, wall, cpu, memory = map(float, done.stdout.split())
    assert code == 0, code
    return wall, cpu, memory


class Lake:
    """A lakehouse in a folder of its own."""

    def __init__(self, folder: Path, **config):
        self.folder = folder
        self.config = {"warehouse": {"type": "local", "path": str(folder / "lake")}} | config
        self.duck = duck()

    @classmethod
    @contextlib.contextmanager
    def fresh(cls, **config):
        with tempfile.TemporaryDirectory(prefix="lake-") as name:
            yield cls(Path(name), **config)

    def command(self, streams, tag="") -> list:
        """The command line of a write."""
        config, catalog = self.folder / f"config{tag}.json", self.folder / f"catalog{tag}.json"
        config.write_text(json.dumps(self.config))
        catalog.write_text(json.dumps({"streams": streams}))
        return [str(BINARY), "write", "--config", str(config), "--catalog", str(catalog)]

    def write(self, streams, lines, expect=0) -> list[dict]:
        """Runs a write; gives what it said."""
        if isinstance(streams, dict):
            streams = [streams]
        done = subprocess.run(self.command(streams), input="\n".join(lines) + "\n", capture_output=True, text=True)
        messages = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode != expect:
            raise AssertionError(f"exit code {done.returncode}, not {expect}: {done.stderr}\n{done.stdout[-2000:]}")
        return messages

    def table(self, name="s", namespace="default") -> str:
        """The folder of a table."""
        return str(self.folder / "lake" / namespace / name)

    def sql(self, query, name="s", namespace="default") -> list[tuple]:
        """What DuckDB answers; `t` in the query is the table."""
        self.duck.execute(f"CREATE OR REPLACE VIEW t AS SELECT * FROM iceberg_scan('{self.table(name, namespace)}')")
        return self.duck.execute(query).fetchall()

    def arrow(self, name="s", namespace="default"):
        """What pyiceberg reads, as an Arrow table."""
        return StaticTable.from_metadata(self.table(name, namespace)).scan().to_arrow()

    def rows(self, *columns, name="s", namespace="default") -> list[tuple]:
        """The rows, sorted, as both readers see them: they have to agree."""
        listed = ", ".join(f'"{column}"' for column in columns)
        seen = sorted(self.sql(f"SELECT {listed} FROM t", name, namespace), key=repr)
        arrow = self.arrow(name, namespace).select(list(columns)).to_pylist()
        also = sorted((tuple(row[column] for column in columns) for row in arrow), key=repr)
        if seen != also:
            raise AssertionError(f"DuckDB sees {seen[:5]}, pyiceberg {also[:5]}")
        return seen


def states(messages) -> list:
    """The values of the states that were given back."""
    values = [m["state"]["stream"]["stream_state"] for m in messages if m["type"] == "STATE"]
    return [value["at"] if set(value) == {"at"} else value for value in values]


def errors(messages) -> list[dict]:
    """The errors that were told."""
    return [m["trace"]["error"] for m in messages if m["type"] == "TRACE" and m["trace"]["type"] == "ERROR"]
