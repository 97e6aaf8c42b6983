#!/bin/sh
# Installs PyAirbyte into a virtual environment of its own:
# PYAIRBYTE_VENV, or .venv-pyairbyte at the root of the repository.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
exec "$here/../peers/make-venv.sh" "${PYAIRBYTE_VENV:-$root/.venv-pyairbyte}" "$here/requirements.txt"
