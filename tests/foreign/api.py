"""A small library API to read from: branches, books and loans, behind a token, page by page.

    python3 api.py            # prints its address, then serves until it is stopped

GET /v1/branches
    All branches in one answer.
GET /v1/books?page_size=N&after=TOKEN
    Books by id. `next` in an answer is the token of the page after it, null on the last one.
GET /v1/loans?updated_from=DATE&updated_to=DATE&page_size=N&after=TOKEN
    Loans by the instant of their last change, from the first day to the last, both included.

Every request needs `Authorization: Bearer TOKEN`. All data follows from the row's number, so every
read of the same rows gives the same records.
"""

import json
import sys
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "library-token-4f1c09"
FIRST_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
MAX_PAGE = 100

BRANCHES = [{"code": code, "name": name} for code, name in [("HQ", "Head office"), ("N", "North"), ("S", "South")]]
BOOKS = [
    {"id": number, "title": f"Volume {number}", "pages": 80 + number * 37 % 600, "price": number * 7 % 90 + 0.5}
    for number in range(1, 181)
]
# Every third loan changed in the same second as the one before it.
LOANS = [
    {
        "id": f"loan-{number:04}",
        "book_id": number * 13 % 180 + 1,
        "branch": BRANCHES[number % 3]["code"],
        "is_returned": number % 4 != 0,
        "due_on": (FIRST_DAY + timedelta(days=number // 3 * 2 + 21)).date().isoformat(),
        "updated_at": (FIRST_DAY + timedelta(hours=(number - number % 3 // 2) * 14)).isoformat(),
    }
    for number in range(240)
]


class BadRequest(Exception):
    """A parameter that cannot be understood."""


def page(rows: list, query: dict) -> dict:
    """One page of the rows, and the token of the next one."""
    try:
        size = min(int(query.get("page_size", MAX_PAGE)), MAX_PAGE)
        start = int(query.get("after", "0"), 36)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    end = start + max(size, 1)
    return {"data": rows[start:end], "next": base36(end) if end < len(rows) else None}


def base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (base36(number // 36) if number >= 36 else "") + digits[number % 36]


def loans(query: dict) -> dict:
    """A page of the loans last changed between two days."""
    try:
        first = date.fromisoformat(query.get("updated_from", "2000-01-01"))
        last = date.fromisoformat(query.get("updated_to", "2999-12-31"))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return page([row for row in LOANS if first <= datetime.fromisoformat(row["updated_at"]).date() <= last], query)


ROUTES = {
    "/v1/branches": lambda query: {"data": BRANCHES, "next": None},
    "/v1/books": lambda query: page(BOOKS, query),
    "/v1/loans": loans,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body leave in one packet: a client would wait 40 ms for the second one.
    wbufsize = -1

    def do_GET(self):
        url = urlsplit(self.path)
        route = ROUTES.get(url.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": "the token is missing or wrong"})
        elif route is None:
            self.answer(404, {"error": f"there is no {url.path}"})
        else:
            try:
                self.answer(200, route({key: values[-1] for key, values in parse_qs(url.query).items()}))
            except BadRequest as error:
                self.answer(400, {"error": str(error)})

    def answer(self, status: int, body: dict):
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        """Quiet: what is asked for is the suite's to look at."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Connections that are cut are the suite's doing; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(port: int = 0) -> Server:
    """A server on 127.0.0.1, not yet serving; port 0 takes a free one."""
    return Server(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    server = serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
