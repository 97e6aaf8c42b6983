#!/bin/sh
# Makes a Python virtual environment that holds exactly what a requirements file lists.
#
#   make-venv.sh VENV REQUIREMENTS
#
# Running it again does nothing, unless the requirements have changed since.
# PYTHON names the interpreter (default python3); the pinned packages need Python 3.11.
set -eu

venv=$1
requirements=$2
python=${PYTHON:-python3}
stamp=$venv/requirements.installed

if [ -f "$stamp" ] && cmp -s "$stamp" "$requirements"; then
    echo "$venv is up to date"
    exit 0
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
    echo "the pinned packages need Python 3.11, but $python is $version; set PYTHON" >&2
    exit 1
fi

rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
cp "$requirements" "$stamp"
echo "$venv is ready"
