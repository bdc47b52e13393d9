#!/usr/bin/env bash
# Installs Bucardo 5 for `make bench-masters`, which measures beside it; nothing else needs it.
#
# Silent and instant when nothing is missing. Bucardo's functions are in PL/PerlU, which comes per
# version of PostgreSQL: it is installed for the version that the bench takes, the newest here.
set -euo pipefail

newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 | cut -d/ -f5)
if [[ -z $newest ]]; then
    echo "no PostgreSQL here" >&2
    echo "hint: scripts/install.sh" >&2
    exit 1
fi

missing=()
command -v bucardo >/dev/null 2>&1 || missing+=(bucardo)
[[ -e /usr/share/postgresql/$newest/extension/plperlu.control ]] || missing+=("postgresql-plperl-$newest")
((${#missing[@]})) || exit 0

if ((EUID == 0)); then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
    as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
else
    as_root=()
fi
if ! command -v apt-get >/dev/null 2>&1 || ((${#as_root[@]} == 0)); then
    echo "missing: ${missing[*]} (Debian's names)" >&2
    echo "hint: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi

echo "installing ${missing[*]}" >&2
# A package list that failed to refresh may still do; the install itself tells.
"${as_root[@]}" apt-get update -qq >&2 || echo "warning: apt-get update failed" >&2
"${as_root[@]}" apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" >&2

# The bench starts one of its own; the package's service has no database to work on.
if command -v systemctl >/dev/null 2>&1 && [[ -d /run/systemd/system ]]; then
    "${as_root[@]}" systemctl disable --now bucardo >&2 || true
fi
