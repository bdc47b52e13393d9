#!/usr/bin/env bash
# Fetches sqlfluff, which reads the Oracle writer's SQL in the tests, into target/oracle-tools/. What
# is already there stays; without Python, or where it can't be had, a line says so and that test is
# left out.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.5.0
folder=${CARGO_TARGET_DIR:-target}/oracle-tools

[[ -x $folder/bin/sqlfluff && -e $folder/sqlfluff-$version ]] && exit 0

if ! command -v python3 >/dev/null 2>&1 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "the Oracle writer's SQL is not parsed: Python with venv is missing" >&2
    exit 0
fi
rm -rf "$folder"
if ! python3 -m venv "$folder" || ! "$folder/bin/pip" install --quiet --disable-pip-version-check "sqlfluff==$version"; then
    rm -rf "$folder"
    echo "the Oracle writer's SQL is not parsed: sqlfluff can't be had" >&2
    exit 0
fi
touch "$folder/sqlfluff-$version"
