"""Reads a sandbox with simple-salesforce and prints what it found as one JSON line an object.

    python simple_salesforce_reader.py HOST:PORT CERTIFICATE SESSION OBJECT...

Each line holds the object, the ids that REST paging found, the ids that Bulk 2.0 found (None where
the API refuses the object), and the number of rows that `/limits/recordCount` tells. The library
speaks HTTPS only and takes a host without a path, so the sandbox runs with --tls.
"""

import csv
import io
import json
import sys

import requests
from simple_salesforce import Salesforce
from simple_salesforce.bulk2 import SFBulk2Handler
from simple_salesforce.exceptions import SalesforceError

VERSION = "62.0"
# Few, so that results come in several pages.
PAGE = 150


def main() -> None:
    address, certificate, session_id, *objects = sys.argv[1:]
    session = requests.Session()
    session.trust_env = False
    session.verify = certificate
    salesforce = Salesforce(instance=address, session_id=session_id, version=VERSION, session=session)
    known = {entry["name"] for entry in salesforce.describe()["sobjects"]}
    limits = salesforce.limits()["DailyApiRequests"]
    if not limits["Remaining"] < limits["Max"]:
        sys.exit("the calls made so far are not counted")
    for name in objects:
        if name not in known:
            sys.exit(f"the global describe does not list {name}")
        found = {"object": name, "rest": by_rest(salesforce, name), "bulk": by_bulk(salesforce, name), "count": count(salesforce, name)}
        print(json.dumps(found), flush=True)


def by_rest(salesforce: Salesforce, name: str) -> list[str]:
    """The ids of all rows, all fields selected."""
    fields = [field["name"] for field in getattr(salesforce, name).describe()["fields"]]
    query = f"SELECT {','.join(fields)} FROM {name}"
    return [record["Id"] for record in salesforce.query_all_iter(query, include_deleted=True)]


def by_bulk(salesforce: Salesforce, name: str) -> list[str] | None:
    """The ids of all rows, all fields selected that Bulk can."""
    fields = [
        field["name"] for field in getattr(salesforce, name).describe()["fields"]
        if field["type"] not in ("address", "location", "base64")
    ]
    query = f"SELECT {','.join(fields)} FROM {name}"
    handler: SFBulk2Handler = salesforce.bulk2
    try:
        pages = list(getattr(handler, name).query_all(query, max_records=PAGE))
    except SalesforceError as refused:
        if "is not supported by the Bulk API" in str(refused):
            return None
        raise
    return [row["Id"] for page in pages for row in csv.DictReader(io.StringIO(page, newline=""))]


def count(salesforce: Salesforce, name: str) -> int | None:
    counts = salesforce.restful("limits/recordCount", params={"sObjects": name})["sObjects"]
    return counts[0]["count"] if counts else None


if __name__ == "__main__":
    main()
