"""Strangers read the sandbox's Salesforce: do they find everything?

Airbyte's own source-salesforce and the library simple-salesforce know nothing of the sandbox, so
they prove that the emulated API is faithful where a sync depends on it. Of each stream that
Airbyte's connector discovers, ids and values must equal the sandbox's truth, but for the
differences of the table below, which are that connector's own. Exits with 1 on any other.

    python3 tests/peers/salesforce_fidelity.py [--rows N] [--seed N]
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from difference import ABSENT, Intended, Readings, compare
from harness import (
    CHILD_ENV, HERE, Failure, Sandbox, Sink, airbyte_salesforce, print_table, run_script, venv_python, write_json,
)

# What pandas takes for null in a cell, of the texts that the sandbox has.
NULL_WORDS = {"NA", "N/A", "null", "None", "nan"}

# Objects that simple-salesforce reads: paging, compound fields, blobs, refused by Bulk.
OBJECTS = ["Account", "AccountFeed", "Attachment", "CaseStatus", "Everything__c", "LoginHistory", "Task", "Wide__c"]

INTENDED = [
    Intended(
        "null left out",
        "Airbyte's CDK leaves out a record's own fields that are null",
        lambda stream, path, ours, theirs: ours is None and theirs is ABSENT and not {".", "["} & set(path),
    ),
    Intended("attributes", "Airbyte keeps the `attributes` of REST records", lambda stream, path, ours, theirs: path == "attributes"),
    Intended(
        "text as null",
        "Airbyte reads Bulk cells through pandas, which takes some words and blanks for null",
        lambda stream, path, ours, theirs: theirs is ABSENT and isinstance(ours, str) and (ours in NULL_WORDS or not ours.strip()),
    ),
    Intended(
        "line ends",
        "Airbyte reads Bulk results as lines, which turns CRLF inside a cell into LF",
        lambda stream, path, ours, theirs: isinstance(ours, str) and ours.replace("\r\n", "\n") == theirs,
    ),
    Intended(
        "datetime form",
        "REST writes +0000 where Bulk writes Z; Airbyte passes both on",
        lambda stream, path, ours, theirs: isinstance(theirs, str) and theirs == f"{str(ours)[:-1]}+0000" and str(ours).endswith("Z"),
    ),
    Intended(
        "NUL",
        "Airbyte keeps NUL characters of REST records",
        lambda stream, path, ours, theirs: isinstance(theirs, str) and "\0" in theirs and theirs.replace("\0", "") == ours,
    ),
    Intended(
        "float",
        "Airbyte passes numbers through floats, which have 16 digits",
        lambda stream, path, ours, theirs: isinstance(ours, int) and isinstance(theirs, float) and float(ours) == theirs,
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=600, help="rows of each large object in the sandbox")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with Sandbox(rows=options.rows, seed=options.seed) as sandbox, tempfile.TemporaryDirectory() as folder:
        airbyte = airbyte_reads(sandbox, Path(folder))
    with Sandbox(rows=options.rows, seed=options.seed, options=["--tls"]) as sandbox:
        library = library_reads(sandbox)
    header = ["stream", "expected", "read", "missing", "unknown", "twice", "wrong"]
    print_table("Airbyte's source-salesforce reads the sandbox", header, airbyte)
    print_table("simple-salesforce reads the sandbox", ["object", "expected", "by REST", "by Bulk", "missing", "unknown", "twice"], library)
    if any(sum(row[3:]) for row in airbyte) or any(sum(row[4:]) for row in library):
        raise Failure("the sandbox and a reader disagree")


# --- Airbyte's connector -------------------------------------------------------------------


def airbyte_reads(sandbox: Sandbox, folder: Path) -> list[list[Any]]:
    """One row a stream; all streams that the connector discovers are read, by Bulk where it can."""
    connector = airbyte_salesforce(sandbox)
    config = write_json(folder / "config.json", sandbox.config("source-salesforce"))
    catalog = connector.catalog(config, None, "full_refresh")
    # `Describe` is no object: its records are the describes.
    catalog["streams"] = [entry for entry in catalog["streams"] if entry["stream"]["name"] != "Describe"]
    sink = Sink(folder, "airbyte")
    run = connector.read(config, write_json(folder / "catalog.json", catalog), sink, timeout=600)
    print(f"read in {run.wall_s:.1f} s")
    records: dict[str, list[dict[str, Any]]] = {entry["stream"]["name"]: [] for entry in catalog["streams"]}
    for stream, data in sink.records():
        records[stream].append(data)
    return [compare_stream(sandbox, stream, found) for stream, found in records.items()]


def compare_stream(sandbox: Sandbox, stream: str, found: list[dict[str, Any]]) -> list[Any]:
    """One row of the table; what is wrong is printed."""
    truth = Readings.of(sandbox.truth("source-salesforce", stream), "Id")
    if not truth.by_id:
        raise Failure(f"the sandbox's truth for {stream} is empty, which would prove nothing")
    read = Readings.of(found, "Id")
    result = compare(stream, truth, read, INTENDED)
    for path, count in result.unexplained.items():
        print(f"{stream}.{path}: {count} wrong, such as {result.samples[path]}")
    wrong = sum(result.unexplained.values())
    return [stream, len(truth.by_id), len(found), len(result.only_ours), len(result.only_theirs), read.repeated, wrong]


# --- simple-salesforce ---------------------------------------------------------------------


def library_reads(sandbox: Sandbox) -> list[list[Any]]:
    """One row an object."""
    python = venv_python("PEERS_VENV", ".venv-peers", "tests/peers/setup.sh")
    command = [
        python, str(HERE / "simple_salesforce_reader.py"), sandbox.address, sandbox.certificate, session(sandbox), *OBJECTS,
    ]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=CHILD_ENV)
    if process.returncode != 0:
        raise Failure("simple-salesforce did not get to the end")
    rows = []
    for found in map(json.loads, process.stdout.splitlines()):
        truth = list(sandbox.truth("source-salesforce", found["object"]))
        expected = {record["Id"] for record in truth}
        readings = [found["rest"], *([found["bulk"]] if found["bulk"] is not None else [])]
        living = sum(not record.get("IsDeleted") and not record.get("IsArchived") for record in truth)
        if found["count"] not in (None, living):
            raise Failure(f"{found['object']}: {living} living rows, recordCount says {found['count']}")
        rows.append([
            found["object"], len(expected), len(found["rest"]), "refused" if found["bulk"] is None else len(found["bulk"]),
            sum(len(expected - set(ids)) for ids in readings),
            sum(len(set(ids) - expected) for ids in readings),
            sum(len(ids) - len(set(ids)) for ids in readings),
        ])
    return rows


def session(sandbox: Sandbox) -> str:
    """A session of the sandbox's user."""
    config = sandbox.config("source-salesforce")
    form = {key: config[key] for key in ("client_id", "client_secret", "refresh_token")}
    with sandbox.post_form("/salesforce/services/oauth2/token", {"grant_type": "refresh_token", **form}) as response:
        return json.load(response)["access_token"]


if __name__ == "__main__":
    run_script(main)
