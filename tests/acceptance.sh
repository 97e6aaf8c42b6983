#!/usr/bin/env bash
# The acceptance suite on every connector of this repository, against the sandbox.
#
#   tests/acceptance.sh [CONNECTOR...]
#
# BIN_DIR names another folder of programs than target/release. Reports go to target/acceptance. What
# the lakehouse holds is read by the Python of tests/lakehouse/setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=${BIN_DIR:-$PWD/target/release}
reports=${CARGO_TARGET_DIR:-$PWD/target}/acceptance
scratch=$(mktemp -d)
mkdir -p "$reports"
: > "$scratch/sandbox"
"$bin/sandbox" serve --listen 127.0.0.1:0 --rows 60 > "$scratch/sandbox" &
sandbox=$!
trap 'kill "$sandbox"; rm -rf "$scratch"' EXIT
until grep -q 'listening on' "$scratch/sandbox"; do sleep 0.1; done
address=$(sed -n 's,^listening on http://,,p' "$scratch/sandbox")
export STRIPE_API_URL=http://$address/stripe
export PYTHON=${LAKEHOUSE_VENV:-$PWD/.venv-lakehouse}/bin/python

# config CONNECTOR: prints a configuration for a connector.
config() {
    case $1 in
        source-*) "$bin/sandbox" config "$1" --listen "$address" ;;
        destination-lakehouse)
            printf '{"warehouse": {"type": "local", "path": "%s/lake"}}\n' "$scratch" ;;
    esac
}

failed=0
connectors=("$@")
[ ${#connectors[@]} -gt 0 ] || connectors=($(ls connectors))
for connector in "${connectors[@]}"; do
    config "$connector" > "$scratch/config.json"
    printf '\n%s\n' "--- $connector"
    PATH=$bin:$PATH "$bin/acceptance" run --config-file "connectors/$connector/acceptance.yml" \
        --executable "$bin/$connector" --config "$scratch/config.json" \
        --junit "$reports/$connector.xml" --html "$reports/$connector.html" || failed=1
done
exit $failed
