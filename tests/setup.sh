#!/usr/bin/env bash
# Makes the virtual environment $1 anew from the lock, with $PYTHON or the newest Python here of those that the lock was made for,
# and with a newer one where there is none of them.
set -euo pipefail

chosen() {
  local minor python
  for minor in 13 12 11; do
    for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python "$(command -v "python3.$minor" || true)"; do
      # A pyenv's shim answers to a version that is not switched on, and ends in an error.
      "$python" -c 'import ensurepip' 2>/dev/null && echo "$python" && return
    done
  done
  python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 14))' 2>/dev/null && echo python3 && return
  echo "no Python 3.11 or newer with its module ensurepip: install one, or name it by PYTHON=…" >&2
  return 1
}

python=${PYTHON:-$(chosen)}
echo "virtual environment $1 of $("$python" -V) (some seconds, the first time up to a minute) …"
"$python" -m venv --clear "$1"
pip=("$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes)
"${pip[@]}" -r <(awk '/^[a-z0-9]/ {on = /^uv==/} on' requirements-dev.txt)
# uv does not read pip's settings, a mirror or a certificate: where it gets nowhere, pip may.
"$1/bin/uv" pip install --quiet --python "$1/bin/python" --require-hashes -r requirements-dev.txt ||
  "${pip[@]}" -r requirements-dev.txt
