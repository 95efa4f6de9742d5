#!/bin/sh
# Installs each peer into a virtual environment of its own, pinned; a peer that fails does not stop the others.
# Usage: install.sh [PEER ...]      (all of rectools, replay, recbole by default)
# PEER_ENVS: where the environments go (default benchmarks/.envs). PYTHON: what makes them (default python3.11).
set -u
here=$(cd "$(dirname "$0")" && pwd)
envs=${PEER_ENVS:-$here/../.envs}
python=${PYTHON:-python3.11}
[ $# -gt 0 ] || set -- rectools replay recbole
mkdir -p "$envs"
failed=""
for peer in "$@"; do
    requirements=$here/requirements/$peer.txt
    if [ ! -f "$requirements" ]; then
        echo "no peer is called $peer: there is no $requirements" >&2
        failed="$failed $peer"
        continue
    fi
    echo "== $peer into $envs/$peer"
    "$python" -m venv "$envs/$peer" &&
        "$envs/$peer/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" &&
        "$envs/$peer/bin/python" -m pip freeze >"$envs/$peer/freeze.txt" || failed="$failed $peer"
done
[ -z "$failed" ] || { echo "not installed:$failed" >&2; exit 1; }
