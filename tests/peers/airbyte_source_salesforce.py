"""Starts Airbyte's source-salesforce with its login at another place.

The connector has no setting for it. Only the host of the login is replaced; all other calls go
where the answer of the login says. Everything else is Airbyte's own.

    SALESFORCE_BASE_URL=http://127.0.0.1:8700/salesforce python airbyte_source_salesforce.py spec
"""

import os
import sys

from source_salesforce.api import Salesforce
from source_salesforce.run import run

LOGIN_HOSTS = ("login.salesforce.com", "test.salesforce.com")


def redirect_login(base_url: str) -> None:
    """Makes every login from now on go to `base_url`.

    The vendor's host stays in the path, since the connector recognises its login by that text.
    """
    send = Salesforce._make_request

    def send_redirected(self, http_method, url, *args, **kwargs):
        for host in LOGIN_HOSTS:
            url = url.replace(f"https://{host}/", f"{base_url}/{host}/")
        if not url.startswith(base_url):
            sys.exit(f"refusing to send a request to {url}")
        return send(self, http_method, url, *args, **kwargs)

    Salesforce._make_request = send_redirected


def main() -> None:
    base_url = os.environ.get("SALESFORCE_BASE_URL")
    if not base_url:
        sys.exit("SALESFORCE_BASE_URL is not set; refusing to talk to the real API")
    redirect_login(base_url.rstrip("/"))
    run()


if __name__ == "__main__":
    main()
