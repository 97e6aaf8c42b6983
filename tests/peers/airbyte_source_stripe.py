"""Starts Airbyte's source-stripe against another base URL.

The connector has no setting for it, so the URL is replaced in the text of its manifest before
that is parsed. Everything else, from the command line to the exit code, is Airbyte's own.

    STRIPE_BASE_URL=http://127.0.0.1:8700/stripe/v1 python airbyte_source_stripe.py spec
"""

import os
import sys

from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from source_stripe.run import run

VENDOR_BASE_URL = "https://api.stripe.com/v1"


def redirect_manifest(base_url: str) -> None:
    """Makes every manifest parsed from now on point at `base_url`."""
    parse = YamlDeclarativeSource._parse

    def parse_redirected(text: str):
        if VENDOR_BASE_URL not in text:
            sys.exit(f"the manifest does not mention {VENDOR_BASE_URL}; nothing was redirected")
        return parse(text.replace(VENDOR_BASE_URL, base_url))

    YamlDeclarativeSource._parse = staticmethod(parse_redirected)


def main() -> None:
    base_url = os.environ.get("STRIPE_BASE_URL")
    if not base_url:
        sys.exit("STRIPE_BASE_URL is not set; refusing to talk to the real API")
    # In the deployment mode of the same name the CDK refuses plain HTTP and private addresses.
    os.environ.pop("DEPLOYMENT_MODE", None)
    redirect_manifest(base_url.rstrip("/"))
    run()


if __name__ == "__main__":
    main()
