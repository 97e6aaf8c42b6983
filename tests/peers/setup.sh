#!/bin/sh
# Installs Airbyte's source-stripe and its CDK into a virtual environment of their own:
# PEERS_VENV, or .venv-peers at the root of the repository.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
exec "$here/make-venv.sh" "${PEERS_VENV:-$root/.venv-peers}" "$here/requirements.txt"
