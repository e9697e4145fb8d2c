#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that the control side of the tests and the lab need, where they are missing.
set -euo pipefail

declare -A provides=(
  [chromium]=chromium
  [git]=git
  [make]=make
  [nft]=nftables
  [ssh]=openssh-client
  [python3]=python3-venv
  [shellcheck]=shellcheck
)

missing=()
for command in "${!provides[@]}"; do
  if [ "$command" = python3 ]; then
    python3 -c 'import ensurepip' 2>/dev/null || missing+=("${provides[$command]}")
  elif ! command -v "$command" >/dev/null 2>&1; then
    missing+=("${provides[$command]}")
  fi
done
[ "${#missing[@]}" -gt 0 ] || exit 0

echo "packages: ${missing[*]} …"
export DEBIAN_FRONTEND=noninteractive
# An installer that was cut leaves half-configured packages, and apt refuses to go on before they are finished.
dpkg --configure -a >/dev/null
apt-get update -qq
# Services that a package would start on this machine are not wanted here: only the commands are.
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
