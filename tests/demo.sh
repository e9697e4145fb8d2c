#!/usr/bin/env bash
# The demonstration: a Coolify host as its installer leaves it, its hops before and after site.yml.
set -euo pipefail
cd "$(dirname "$0")/.."

lab=(.venv/bin/python molecule/shared/lab)
play=(.venv/bin/ansible-playbook -i .lab/inventory.yml)

headline() { printf '\n\033[1m== %s\033[0m [%dm%02ds]\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }
[ -t 1 ] || headline() { printf '\n== %s [%dm%02ds]\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

headline "1/4  The lab: a Coolify host as its installer leaves it, a tailnet, a tunnel, an outside"
"${lab[@]}" up --var coolify_access=dual ${COOLIFY:+--coolify "$COOLIFY"}

headline "2/4  Before: playbooks/verify.yml (red is what it should be; nothing is changed)"
if "${play[@]}" playbooks/verify.yml; then
  echo "This host has been treated already: the table above is green. For the whole story: make demo-down demo"
else
  echo "As expected: the untreated host is red."
fi

headline "3/4  playbooks/site.yml, and after"
"${play[@]}" playbooks/site.yml

headline "4/4  Look at it yourself"
"${lab[@]}" address
echo
echo "Again:   .venv/bin/ansible-playbook -i .lab/inventory.yml playbooks/verify.yml"
echo "Undo:    .venv/bin/ansible-playbook -i .lab/inventory.yml playbooks/remove.yml"
echo "Away:    make demo-down"
