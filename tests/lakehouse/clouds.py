"""Catalogs and object stores: SQLite beside pyiceberg, S3 by moto, REST by a server over pyiceberg's
own catalog.

    .venv-lakehouse/bin/python tests/lakehouse/clouds.py
"""

import json
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import boto3
from moto.server import ThreadedMotoServer
from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import CommitTableRequest, StaticTable
from pyiceberg.table.update import update_table_metadata  # noqa: F401 (what commit_table is made of)

from lake import BINARY, Lake, errors, record, state, states, status, stream

DEDUP = stream(mode="append_dedup", key=["id"], cursor="c")
KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI"}


def rounds(lake: Lake) -> None:
    """Three commits with upserts, by three processes."""
    for n in range(3):
        lines = [record({"id": id, "v": f"{n}", "c": n}) for id in range(n * 10, 100)]
        lake.write(DEDUP, [*lines, state(n), status()])


EXPECTED = sorted((id, "0" if id < 10 else "1" if id < 20 else "2") for id in range(100))


def pairs(arrow) -> list[tuple]:
    return sorted((row["id"], row["v"]) for row in arrow.select(["id", "v"]).to_pylist())


class Sqlite(unittest.TestCase):
    def test_pyiceberg_shares_the_file(self):
        with Lake.fresh() as lake:
            path = lake.folder / "catalog.db"
            lake.config["catalog"] = {"type": "sqlite", "path": str(path)}
            rounds(lake)
            catalog = SqlCatalog("default", uri=f"sqlite:///{path}")
            table = catalog.load_table("default.s")
            self.assertEqual(pairs(table.scan().to_arrow()), EXPECTED)
            # What pyiceberg commits is there for the next sync.
            table.append(table.scan(row_filter="id = 1").to_arrow())
            lake.write(DEDUP, [record({"id": 1, "v": "x", "c": 9}), state(9), status()])
            seen = pairs(catalog.load_table("default.s").scan().to_arrow())
            self.assertEqual(seen, sorted((id, "x" if id == 1 else v) for id, v in EXPECTED))

    def test_check(self):
        with Lake.fresh() as lake:
            lake.config["catalog"] = {"type": "sqlite", "path": str(lake.folder / "catalog.db")}
            self.assertEqual(check(lake), {"status": "SUCCEEDED"})
            lake.config["catalog"]["path"] = "/nowhere/at/all.db"
            self.assertEqual(check(lake)["status"], "FAILED")


class Cloud(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.moto = ThreadedMotoServer("127.0.0.1", 0)
        cls.moto.start()
        cls.endpoint = "http://%s:%d" % cls.moto.get_host_and_port()
        cls.s3 = boto3.client("s3", endpoint_url=cls.endpoint, region_name="us-east-1", aws_access_key_id=KEYS["access_key_id"], aws_secret_access_key=KEYS["secret_access_key"])
        cls.s3.create_bucket(Bucket="lake")

    @classmethod
    def tearDownClass(cls):
        cls.moto.stop()

    def properties(self):
        return {"s3.endpoint": self.endpoint, "s3.access-key-id": KEYS["access_key_id"], "s3.secret-access-key": KEYS["secret_access_key"], "s3.region": "us-east-1"}

    def bucket(self, prefix):
        return {"type": "s3", "bucket": "lake", "prefix": prefix, "region": "us-east-1", "endpoint": self.endpoint, **KEYS}

    def test_a_bucket_without_a_catalog(self):
        with Lake.fresh(warehouse=self.bucket("plain")) as lake:
            self.assertEqual(check(lake), {"status": "SUCCEEDED"})
            rounds(lake)
            table = StaticTable.from_metadata("s3://lake/plain/default/s", self.properties())
            self.assertEqual(pairs(table.scan().to_arrow()), EXPECTED)

    def test_two_writers_to_a_bucket(self):
        with Lake.fresh(warehouse=self.bucket("race"), commit_seconds=0) as lake:
            processes = []
            for writer in range(2):
                lines = []
                for step in range(6):
                    lines += [record({"id": writer * 1000 + step, "v": "v", "c": 1}), state(step)]
                command = lake.command([stream()], tag=str(writer))
                processes.append((subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True), "\n".join(lines) + "\n"))
            threads = [threading.Thread(target=process.communicate, args=(text,)) for process, text in processes]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            self.assertEqual([process.returncode for process, _ in processes], [0, 0])
            table = StaticTable.from_metadata("s3://lake/race/default/s", self.properties())
            self.assertEqual(sorted(row[0] for row in pairs(table.scan().to_arrow())), [*range(6), *range(1000, 1006)])

    def test_a_rest_catalog_that_gives_credentials(self):
        with RestServer("s3://lake/rest", self.properties(), vended=self.properties()) as server, Lake.fresh() as lake:
            for auth in ({"type": "bearer", "token": "sesame-token"}, {"type": "oauth2", "client_id": "me", "client_secret": "mine-secret"}):
                lake.config = {"warehouse": {"type": "from_catalog"}, "catalog": {"type": "rest", "uri": server.url, "warehouse": "w", "auth": auth}}
                self.assertEqual(check(lake), {"status": "SUCCEEDED"})
            rounds(lake)
            self.assertEqual(pairs(server.catalog.load_table("default.s").scan().to_arrow()), EXPECTED)
            self.assertEqual(server.delegations, {"vended-credentials"})
            lake.config["catalog"]["auth"] = {"type": "bearer", "token": "wrong-token-1"}
            answer = check(lake)
            self.assertEqual(answer["status"], "FAILED")
            self.assertNotIn("wrong-token-1", answer["message"])

    def test_lost_answers_to_commits_are_found_again(self):
        with RestServer("s3://lake/lost", self.properties(), vended=self.properties()) as server, Lake.fresh() as lake:
            lake.config = {"warehouse": {"type": "from_catalog"}, "catalog": {"type": "rest", "uri": server.url, "auth": {"type": "bearer", "token": "sesame-token"}}}
            server.lose = 2
            rounds(lake)
            self.assertEqual(server.lose, 0)
            self.assertEqual(pairs(server.catalog.load_table("default.s").scan().to_arrow()), EXPECTED)
            server.refuse = 1
            lake.write(stream("t"), [record({"id": 1}, "t"), state(1, "t"), status(name="t")])
            self.assertEqual(server.refuse, 0)
            self.assertEqual(server.catalog.load_table("default.t").scan().to_arrow().num_rows, 1)

    def test_signatures(self):
        with RestServer("s3://lake/glue", self.properties()) as server, Lake.fresh() as lake:
            server.signed = True
            lake.config = {"warehouse": self.bucket("glue"), "catalog": {"type": "rest", "uri": server.url, "auth": {"type": "sigv4", "region": "us-east-1", **KEYS}}}
            rounds(lake)
            self.assertEqual(pairs(server.catalog.load_table("default.s").scan().to_arrow()), EXPECTED)
            lake.config["catalog"]["auth"]["secret_access_key"] = "another-secret"
            self.assertEqual(check(lake)["status"], "FAILED")


def check(lake: Lake) -> dict:
    path = lake.folder / "config.json"
    path.write_text(json.dumps(lake.config))
    done = subprocess.run([BINARY, "check", "--config", path], capture_output=True, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    answers = [m["connectionStatus"] for m in messages if m["type"] == "CONNECTION_STATUS"]
    return answers[0] if answers else {"status": "ERROR", "message": done.stdout}


class RestServer:
    """A REST catalog over pyiceberg's SqlCatalog; `lose` answers to commits get lost after they were
    done, `refuse` commits are in conflict, and with `signed` requests need Amazon's signatures."""

    def __init__(self, warehouse: str, properties: dict, vended: dict | None = None):
        self.vended, self.lose, self.refuse, self.signed, self.delegations = vended, 0, 0, False, set()
        self.folder = tempfile.TemporaryDirectory()
        self.catalog = SqlCatalog("rest", uri=f"sqlite:///{self.folder.name}/c.db", warehouse=warehouse, **properties)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do(self):
                outer.handle(self)

            do_GET = do_POST = do_DELETE = do

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/api" % self.server.server_port
        self.lock = threading.Lock()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        with self.lock:
            code, answer = self.answer(request, body)
        text = json.dumps(answer).encode() if not isinstance(answer, bytes) else answer
        request.send_response(code)
        request.send_header("content-length", str(len(text)))
        request.send_header("content-type", "application/json")
        request.end_headers()
        request.wfile.write(text)

    def answer(self, request, body):
        url = urlparse(request.path)
        path = [unquote(part) for part in url.path.removeprefix("/api/v1/").split("/")]
        if path == ["oauth", "tokens"]:
            form = parse_qs(body.decode())
            good = form.get("client_secret") == ["mine-secret"] and form.get("grant_type") == ["client_credentials"] and form.get("scope")
            return (200, {"access_token": "sesame-token", "token_type": "bearer", "expires_in": 3600}) if good else (401, {"error": "invalid_client"})
        if self.signed:
            if not signature_is_good(request, body):
                return 403, {"error": {"message": "signature"}}
        elif request.headers.get("authorization") != "Bearer sesame-token":
            return 401, {"error": {"message": "who are you"}}
        if path == ["config"]:
            return 200, {"defaults": {}, "overrides": {"prefix": "p/w"}}
        if path[:2] != ["p", "w"]:
            return 404, {"error": {"message": "prefix"}}
        match request.command, path[2:]:
            case "GET", ["namespaces", namespace]:
                return (200, {"namespace": [namespace]}) if self.catalog.namespace_exists(namespace) else (404, {})
            case "POST", ["namespaces"]:
                self.catalog.create_namespace(tuple(json.loads(body)["namespace"]))
                return 200, {}
            case "GET", ["namespaces"]:
                return 200, {"namespaces": [list(n) for n in self.catalog.list_namespaces()]}
            case "GET", ["namespaces", namespace, "tables"]:
                return 200, {"identifiers": [{"namespace": list(t[:-1]), "name": t[-1]} for t in self.catalog.list_tables(namespace)]}
            case "POST", ["namespaces", namespace, "tables"]:
                wanted = CreateTableRequest.model_validate({"location": None} | json.loads(body))
                try:
                    extra = {"partition_spec": wanted.partition_spec} if wanted.partition_spec else {}
                    table = self.catalog.create_table((namespace, wanted.name), wanted.table_schema, location=wanted.location, properties=wanted.properties, **extra)
                except TableAlreadyExistsError:
                    return 409, {}
                return 200, self.loaded(table)
            case "GET", ["namespaces", namespace, "tables", name]:
                self.delegations.add(request.headers.get("x-iceberg-access-delegation"))
                try:
                    return 200, self.loaded(self.catalog.load_table((namespace, name)))
                except NoSuchTableError:
                    return 404, {}
            case "POST", ["namespaces", namespace, "tables", name]:
                if self.refuse and b"add-snapshot" in body:
                    self.refuse -= 1
                    return 409, {"error": {"message": "again"}}
                commit = CommitTableRequest.model_validate_json(body)
                try:
                    answer = self.catalog.commit_table(self.catalog.load_table((namespace, name)), commit.requirements, commit.updates)
                except CommitFailedException as failure:
                    return 409, {"error": {"message": str(failure)}}
                if self.lose and b"add-snapshot" in body:
                    self.lose -= 1
                    return 502, {"error": {"message": "lost"}}
                return 200, answer.model_dump_json(by_alias=True).encode()
            case "DELETE", ["namespaces", namespace, "tables", name]:
                self.catalog.drop_table((namespace, name))
                return 204, b""
        return 404, {"error": {"message": request.path}}

    def loaded(self, table):
        answer = {"metadata-location": table.metadata_location, "metadata": json.loads(table.metadata.model_dump_json(by_alias=True)), "config": {}}
        if self.vended:
            answer["storage-credentials"] = [{"prefix": "s3://other", "config": {"s3.endpoint": "http://127.0.0.1:9"}}, {"prefix": "s3://lake/", "config": self.vended}]
        return answer


def signature_is_good(request, body: bytes) -> bool:
    """Signs the request once more, with botocore, and compares."""
    import hashlib
    from datetime import datetime, timezone
    from unittest import mock

    from botocore import auth as signing
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    given = request.headers.get("authorization", "")
    if request.headers.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest() or "SignedHeaders=" not in given:
        return False
    names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {name: request.headers[name] for name in names}
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    again = AWSRequest(request.command, f"http://{request.headers['host']}{request.path}", headers={k: v for k, v in headers.items() if k not in ("host", "x-amz-date")}, data=body)
    signer = signing.SigV4Auth(Credentials(KEYS["access_key_id"], KEYS["secret_access_key"]), "glue", "us-east-1")
    again.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    again.headers["X-Amz-Date"] = again.context["timestamp"]
    with mock.patch.object(signer, "headers_to_sign", lambda r: headers_of(headers)):
        text = signer.string_to_sign(again, signer.canonical_request(again))
        return given.endswith("Signature=" + signer.signature(text, again))


def headers_of(headers: dict):
    from http.client import HTTPMessage

    message = HTTPMessage()
    for name, value in headers.items():
        message[name] = value
    return message


if __name__ == "__main__":
    unittest.main()
