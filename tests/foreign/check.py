"""Runs the acceptance suite on connectors of Airbyte's and looks at what it says of them.

    python3 check.py [faker] [declarative] [stripe]

Each connector has rules that must fail, since it has that fault, and rules that may fail, since it
depends on chance whether the fault shows. An error of any other rule is a false alarm, and ends the
script with exit code 1. The reports are kept with --reports FOLDER.

Only Python's standard library is needed, beside the environments that setup.sh makes. BIN_DIR names
another folder than target/release for our binaries.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import api

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peers"))
from harness import CHILD_ENV, Failure, Sandbox, binary, print_table, run_script, venv_python, write_json

SETUP = "tests/foreign/setup.sh"
# Rules that have to be looked at wherever a source is tried, lest an empty run pass.
CORE = {"O01", "O04", "S01", "C01", "D01", "R01", "R03", "R07", "R10", "R11", "I05", "I06", "I07", "B01", "B05", "X01"}
FAULTS = {f"F{number:02}" for number in range(1, 14)}


@dataclass
class Start:
    """How a connector is started: the command, what is given beside the file, the environment."""

    command: list[str]
    config: dict[str, Any] | None = None
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Case:
    """A connector with what the suite is to say of it."""

    start: Any
    must: dict[str, str]
    may: dict[str, str]
    core: set[str]


def faker_python() -> Path:
    return Path(venv_python("FAKER_VENV", ".venv-faker", SETUP))


def peers_python() -> Path:
    return Path(venv_python("PEERS_VENV", ".venv-peers", SETUP))


@contextmanager
def faker() -> Iterator[Start]:
    yield Start([str(faker_python().parent / "source-faker")])


@contextmanager
def declarative() -> Iterator[Start]:
    """source-declarative-manifest on the API beside this script."""
    server = api.serve()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    manifest = json.loads((HERE / "manifest.json").read_text())
    config = {
        "__injected_declarative_manifest": manifest,
        "base_url": f"http://127.0.0.1:{server.server_port}",
        "api_token": api.TOKEN,
        "start_date": api.FIRST_DAY.date().isoformat(),
    }
    try:
        yield Start([str(peers_python().parent / "source-declarative-manifest")], config)
    finally:
        server.shutdown()


@contextmanager
def stripe() -> Iterator[Start]:
    """Airbyte's source-stripe on the sandbox."""
    command = [str(peers_python()), str(HERE.parent / "peers" / "airbyte_source_stripe.py")]
    with Sandbox(rows=60, clock_start="2026-11-01T00:00:00Z") as sandbox:
        config = sandbox.config("source-stripe", num_workers=3)
        # Ours: the base URL of Airbyte's connector is replaced by the script.
        config.pop("api_url", None)
        yield Start(command, config, {"STRIPE_BASE_URL": f"{sandbox.url}/stripe/v1"})


CASES = {
    "faker": Case(
        faker,
        must={"I05": "a state in the middle of a stream loses the rest of it"},
        may={
            "I06": "the same loss, when the SIGKILL falls into the middle of a stream",
            "X01": "the same loss, when the SIGTERM does",
        },
        core=CORE,
    ),
    "declarative": Case(
        declarative,
        must={"F08": "an answer 200 that is no JSON is taken for an empty page: its rows are lost"},
        may={"F11": "a Retry-After that is a date is not waited for"},
        core=CORE | FAULTS,
    ),
    "stripe": Case(
        stripe,
        must={
            "O04": "exit code 0 after the error trace of a broken input, so that a sync counts as done",
            "I05": "from a state it reads the events since then, so that older objects not yet read are lost",
            "F08": "an answer 200 that is no JSON is taken for an empty page: its rows are lost",
        },
        may={
            "I06": "the loss of I05, when the SIGKILL falls behind a state",
            "X01": "the loss of I05, when the SIGTERM does",
            "F11": "a Retry-After that is a date is not waited for",
        },
        core=CORE | FAULTS - {"F10"},  # it goes on trying for two minutes
    ),
}


@dataclass
class Outcome:
    """What the suite said: the report, and its exit code."""

    report: dict[str, Any]
    exit_code: int
    seconds: float

    def errors(self) -> dict[str, list[str]]:
        """The messages of all errors, by rule."""
        found: dict[str, list[str]] = {}
        for rule in self.report["rules"]:
            messages = [each["message"] for each in rule["findings"] if each["level"] == "error"]
            if messages:
                found[rule["id"]] = messages
        return found

    def warned(self) -> list[str]:
        """The rules that were only warned about."""
        return [rule["id"] for rule in self.report["rules"] if rule["status"] == "warned"]

    def looked_at(self) -> set[str]:
        return {rule["id"] for rule in self.report["rules"] if rule["checks"]}


def run(name: str, start: Start, folder: Path) -> Outcome:
    """The suite on a connector; its reports go to the folder."""
    report = folder / f"{name}.json"
    command = [binary("acceptance"), "run", "--config-file", str(HERE / f"{name}.yml")]
    command += ["--executable", " ".join(start.command), "--json", str(report), "--html", str(folder / f"{name}.html")]
    if start.config is not None:
        command += ["--config", str(write_json(folder / f"{name}-config.json", start.config))]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**CHILD_ENV, **start.env}, timeout=1800)
    seconds = time.perf_counter() - started
    (folder / f"{name}.txt").write_text(done.stdout)
    if done.returncode not in (0, 1):
        raise Failure(f"{name}: the suite could not run: {done.stderr}")
    return Outcome(json.loads(report.read_text()), done.returncode, seconds)


def judge(case: Case, outcome: Outcome) -> list[str]:
    """What the suite should have said otherwise."""
    errors = outcome.errors()
    problems = [f"{rule} was not found: {what}" for rule, what in case.must.items() if rule not in errors]
    for rule, messages in errors.items():
        if rule not in case.must and rule not in case.may:
            problems.append(f"{rule} is a false alarm: {messages[0]}")
    problems += [f"{rule} was never looked at" for rule in sorted(case.core - outcome.looked_at())]
    if outcome.exit_code != (1 if errors else 0):
        problems.append(f"exit code {outcome.exit_code} with {len(errors)} failed rules")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("connectors", nargs="*", metavar="CONNECTOR", help=", ".join(CASES))
    parser.add_argument("--reports", type=Path, help="keep the reports in this folder")
    arguments = parser.parse_args()
    unknown = set(arguments.connectors) - set(CASES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    rows, problems = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.reports or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in arguments.connectors or CASES:
            case = CASES[name]
            with case.start() as start:
                outcome = run(name, start, folder)
            problems += [f"{name}: {problem}" for problem in judge(case, outcome)]
            failed, warned = " ".join(outcome.errors()), " ".join(outcome.warned())
            rows.append([name, len(outcome.report["runs"]), f"{outcome.seconds:.0f}", failed, warned])
    print_table("The suite on Airbyte's connectors", ["connector", "runs", "seconds", "failed", "warned"], rows)
    if problems:
        raise Failure("\n".join(problems))


if __name__ == "__main__":
    run_script(main)
