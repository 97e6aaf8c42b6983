#!/bin/sh
# Installs the readers of the lakehouse tests into a virtual environment of their own:
# LAKEHOUSE_VENV, or .venv-lakehouse at the root of the repository.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
exec "$here/../peers/make-venv.sh" "${LAKEHOUSE_VENV:-$root/.venv-lakehouse}" "$here/requirements.txt"
