#!/bin/sh
# Installs the connectors that the suite is tried with: source-faker into FAKER_VENV, or
# .venv-faker at the root of the repository; source-declarative-manifest and source-stripe come
# with the environment of tests/peers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
"$root/tests/peers/setup.sh"
exec "$root/tests/peers/make-venv.sh" "${FAKER_VENV:-$root/.venv-faker}" "$here/requirements.txt"
