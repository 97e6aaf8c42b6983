"""What the scripts beside it share: the sandbox, the connectors, and measured runs of them.

Only the standard library is used, so every interpreter can import it.
"""

import ctypes
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent

# Loopback must never be reached through a proxy that the machine happens to have set.
CHILD_ENV = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}

# How a record's line begins, in our connectors and in those of Airbyte's CDK.
RECORD_PREFIX = b'{"type":"RECORD"'

_PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """Something the script was to prove turned out not to be so."""


def binary(name: str) -> str:
    """The release build of one of our programs, from BIN_DIR or target/release."""
    path = Path(os.environ.get("BIN_DIR", REPO / "target" / "release")) / name
    if not path.is_file():
        raise Failure(f"{path} does not exist; run: cargo build --release -p {name}")
    return str(path)


def venv_python(variable: str, default: str, setup: str) -> str:
    """The interpreter of a virtual environment named by an environment variable."""
    path = Path(os.environ.get(variable, REPO / default)) / "bin" / "python"
    if not path.exists():
        raise Failure(f"{path} does not exist; run: {setup}")
    return str(path)


# --- the sandbox ---------------------------------------------------------------------------


class Sandbox:
    """A running sandbox on a free port, used as a context manager."""

    def __init__(
        self, *, rows: int, seed: int = 7, clock_start: str | None = None, salesforce: str = "", options: Iterable[str] = ()
    ):
        self.seed, self.rows = seed, rows
        # The instant is fixed here, so that the server and `sandbox truth` share it.
        self.clock_start = clock_start or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._options = list(options)
        # The file of the certificate, with --tls.
        self.certificate: str | None = None
        self._data = ["--seed", str(seed), "--rows", str(rows), "--clock-start", self.clock_start, "--salesforce", salesforce]

    def __enter__(self) -> "Sandbox":
        command = [binary("sandbox"), "serve", "--listen", "127.0.0.1:0", *self._data, *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=CHILD_ENV)
        line = self._process.stdout.readline()
        self.url = line.strip().removeprefix("listening on ")
        if not self.url.startswith(("http://", "https://")):
            self.__exit__()
            raise Failure(f"the sandbox did not start, its first line was {line!r}")
        if self.url.startswith("https://"):
            self.certificate = self._process.stdout.readline().strip().removeprefix("certificate ")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.url.partition("://")[2]

    def config(self, connector: str, **overrides: Any) -> dict[str, Any]:
        """The connector's config for this sandbox, with some settings replaced."""
        tls = ["--tls"] if self.certificate else []
        command = [binary("sandbox"), "config", connector, "--listen", self.address, *tls]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=CHILD_ENV).stdout
        return {**json.loads(out), **overrides}

    def truth(self, connector: str, stream: str) -> Iterator[dict[str, Any]]:
        """The records a complete read of an unchanged sandbox yields, computed without HTTP."""
        command = [binary("sandbox"), "truth", connector, stream, *self._data]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=CHILD_ENV)
        with process.stdout:
            for line in process.stdout:
                yield json.loads(line)
        if process.wait() != 0:
            raise Failure(f"{' '.join(command)} exited with {process.returncode}")

    def truth_now(self, connector: str, stream: str) -> Iterator[dict[str, Any]]:
        """The same as the running server sees it, with every mutation made so far."""
        with self._open("GET", f"/_admin/truth/{connector}/{stream}") as response:
            for line in response:
                yield json.loads(line)

    def requests(self) -> "Requests":
        """The API requests answered since the start or the last reset."""
        with self._open("GET", "/_admin/counters") as response:
            counters = json.load(response)
        by_path = {path: count["total"] for path, count in counters["by_path"].items()}
        return Requests(counters["total"], counters["by_status"], by_path)

    def reset_counters(self) -> None:
        self._open("POST", "/_admin/reset-counters", {}).close()

    def mutate(self, resource: str, count: int, values: dict[str, Any], event: str) -> Any:
        """Changes `count` objects, writes one event for each and returns the sandbox's answer."""
        body = {"resource": resource, "count": count, "set": values, "event": event}
        with self._open("POST", "/_admin/mutate", body) as response:
            return json.load(response)

    def change(self, action: str, api: str, **body: Any) -> Any:
        """Changes data or behaviour of an API and returns the sandbox's answer."""
        with self._open("POST", f"/_admin/{action}", {"api": api, **body}) as response:
            return json.load(response)

    def advance(self, seconds: int) -> None:
        """Moves the sandbox's clock forward."""
        self._open("POST", "/_admin/advance", {"seconds": seconds}).close()

    def post_form(self, path: str, form: dict[str, str]) -> Any:
        """The answer to a form, as a file of its body."""
        return self._send("POST", path, urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded")

    def _open(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return self._send(method, path, data, "application/json")

    def _send(self, method: str, path: str, data: bytes | None, content_type: str) -> Any:
        headers = {"Content-Type": content_type}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        handlers = [urllib.request.ProxyHandler({})]
        if self.certificate:
            context = ssl.create_default_context(cafile=self.certificate)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers).open(request, timeout=600)


@dataclass
class Requests:
    """How many requests were answered with which status, `reset` for a connection cut instead."""

    total: int
    by_status: dict[str, int]
    by_path: dict[str, int]


# --- connectors ----------------------------------------------------------------------------


@dataclass
class Connector:
    """An executable that speaks the Airbyte protocol."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)

    def catalog(self, config_file: Path, streams: list[str] | None, sync_mode: str) -> dict[str, Any]:
        """A configured catalog of these streams, in this order, or of all, from the connector's `discover`."""
        out = subprocess.run(
            [*self.command, "discover", "--config", str(config_file)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**CHILD_ENV, **self.env},
        ).stdout
        catalogs = [m["catalog"] for m in map(json.loads, out.splitlines()) if m["type"] == "CATALOG"]
        if not catalogs:
            raise Failure(f"{self.name}: discover printed no catalog")
        known = {stream["name"]: stream for stream in catalogs[0]["streams"]}
        streams = list(known) if streams is None else streams
        missing = [name for name in streams if name not in known]
        if missing:
            raise Failure(f"{self.name} has no stream {', '.join(missing)}")
        return {"streams": [configured(known[name], sync_mode) for name in streams]}

    def read(self, config: Path, catalog: Path, sink: "Sink", timeout: float, state: Path | None = None) -> "Run":
        """A `read`, from a state if one is given; fails unless the connector ends with exit code 0."""
        command = [*self.command, "read", "--config", str(config), "--catalog", str(catalog)]
        if state:
            command += ["--state", str(state)]
        run = run_measured(command, self.env, sink, timeout)
        if run.exit_code != 0:
            raise Failure(f"{self.name}: read ended with exit code {run.exit_code}\n{sink.complaints()}")
        return run

    def spec_wall(self, times: int) -> float:
        """Seconds from start to end of `spec`, the best of several."""
        return min(self._time_spec() for _ in range(times))

    def _time_spec(self) -> float:
        started = time.perf_counter()
        subprocess.run(
            [*self.command, "spec"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**CHILD_ENV, **self.env}, check=True,
        )
        return time.perf_counter() - started


def configured(stream: dict[str, Any], sync_mode: str) -> dict[str, Any]:
    """One entry of a configured catalog."""
    return {
        "stream": stream,
        "sync_mode": sync_mode,
        "destination_sync_mode": "append",
        "cursor_field": stream.get("default_cursor_field") or [],
        "primary_key": stream.get("source_defined_primary_key") or [],
        "generation_id": 1,
        "minimum_generation_id": 0,
        "sync_id": 1,
    }


def our_stripe() -> Connector:
    """Our source-stripe."""
    return Connector("tributary", [binary("source-stripe")])


def airbyte_stripe(sandbox: Sandbox) -> Connector:
    """Airbyte's source-stripe, pointed at a sandbox."""
    python = venv_python("PEERS_VENV", ".venv-peers", "tests/peers/setup.sh")
    command = [python, str(HERE / "airbyte_source_stripe.py")]
    return Connector("airbyte", command, {"STRIPE_BASE_URL": f"{sandbox.url}/stripe/v1"})


def our_salesforce() -> Connector:
    """Our source-salesforce."""
    return Connector("tributary", [binary("source-salesforce")])


def airbyte_salesforce(sandbox: Sandbox) -> Connector:
    """Airbyte's source-salesforce, which logs in at a sandbox."""
    python = venv_python("PEERS_VENV", ".venv-peers", "tests/peers/setup.sh")
    command = [python, str(HERE / "airbyte_source_salesforce.py")]
    return Connector("airbyte", command, {"SALESFORCE_BASE_URL": f"{sandbox.url}/salesforce"})


# --- measured runs -------------------------------------------------------------------------


@dataclass
class Run:
    """What one process cost."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_rss_mib: float

    def as_json(self) -> dict[str, Any]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


class Sink:
    """Where a measured process writes: standard output and standard error as files in `folder`."""

    def __init__(self, folder: Path, name: str):
        self.stdout, self.stderr = folder / f"{name}.jsonl", folder / f"{name}.stderr"

    @contextmanager
    def open(self) -> Iterator[tuple[int, int]]:
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            yield out.fileno(), err.fileno()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Every protocol message of the run."""
        with open(self.stdout, "rb") as lines:
            for line in lines:
                yield json.loads(line)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Stream and data of every record, in order."""
        for message in self.messages():
            if message["type"] == "RECORD":
                yield message["record"]["stream"], message["record"]["data"]

    def complaints(self) -> str:
        """The last errors the process reported, for a person to read."""
        lines = [line for line in tail(self.stdout) if '"TRACE"' in line or '"ERROR"' in line or '"FATAL"' in line]
        return "\n".join([*lines[-5:], *tail(self.stderr)[-10:]])


class PipeSink(Sink):
    """Hands standard output line by line to a function, as an orchestrator would read it.

    The file keeps the messages that are no records.
    """

    def __init__(self, folder: Path, name: str, consume: Callable[[Iterable[bytes]], None]):
        super().__init__(folder, name)
        self._consume = consume
        self._failure: BaseException | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[int, int]]:
        read_end, write_end = os.pipe()
        reader = threading.Thread(target=self._drain, args=(read_end,))
        reader.start()
        with open(self.stderr, "wb") as err:
            try:
                yield write_end, err.fileno()
            finally:
                os.close(write_end)
                reader.join()
        if self._failure:
            raise self._failure

    def _drain(self, read_end: int) -> None:
        with open(read_end, "rb", buffering=1 << 20) as lines, open(self.stdout, "wb") as kept:
            try:
                self._consume(self._keep_others(lines, kept))
            except BaseException as failure:  # handed to the main thread by `open`
                self._failure = failure
                for _ in lines:
                    pass

    @staticmethod
    def _keep_others(lines: Iterable[bytes], kept: Any) -> Iterator[bytes]:
        for line in lines:
            if not line.startswith(RECORD_PREFIX):
                kept.write(line)
            yield line


def tail(path: Path, limit: int = 1 << 16) -> list[str]:
    """The last lines of a file."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - limit))
        return file.read().decode(errors="replace").splitlines()


def run_measured(command: list[str], env: dict[str, str], sink: Sink, timeout: float) -> Run:
    """Runs a command to its end and reads its own resource usage from wait4.

    The kernel carries the peak memory of the process that forks over into the one that is
    executed, so a child of this interpreter would never seem smaller than the interpreter. A
    small shell starts the command instead and leaves at once; as a subreaper this process
    inherits the command and may wait for it.
    """
    _become_subreaper()
    with sink.open() as (out, err):
        started = time.perf_counter()
        shell = subprocess.run(
            ["/bin/sh", "-c", f'"$@" </dev/null >/dev/fd/{out} 2>/dev/fd/{err} & echo $!', "sh", *command],
            stdout=subprocess.PIPE, pass_fds=(out, err), env={**CHILD_ENV, **env}, check=True,
        )
        pid = int(shell.stdout)
        killer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
        killer.start()
        try:
            _, status, usage = os.wait4(pid, 0)
        finally:
            killer.cancel()
        wall = time.perf_counter() - started
    return Run(
        exit_code=os.waitstatus_to_exitcode(status),
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_mib=usage.ru_maxrss / 1024,
    )


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


# --- output --------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> Path:
    """Writes a value as JSON and returns the path."""
    path.write_text(json.dumps(value, indent=2) + "\n")
    return path


def print_table(title: str, header: list[str], rows: list[list[Any]]) -> None:
    """A plain table: the first column to the left, figures to the right."""
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for index, row in enumerate(cells):
        line = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        print("  ".join(line).rstrip())
        if index == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def run_script(main: Callable[[], None]) -> None:
    """Runs a script's main function; a failure ends it with a message and exit code 1."""
    try:
        main()
    except Failure as failure:
        print(f"\nFAILED: {failure}", file=sys.stderr)
        sys.exit(1)
