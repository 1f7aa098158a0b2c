#!/bin/sh
# finish.sh FOLDER: make what pip has installed there ready for a root that nobody can write, and the same in every build.
set -eu
# Where a wheel was found says nothing about it, and the tests of packages are not run here.
find "$1" -name direct_url.json -delete
find "$1" -path '*/tests/*' -name 'test_*.py' -delete
find "$1" \( -name '*.pyi' -o -path '*/tests/data/*' -o -path '*/tests/examples/*' \) -type f -delete
# Byte code that is not compared with its source: the times below would all be the same. Not of what no service imports.
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/(pygments/(lexers|styles)|numpy/(f2py|distutils))/' -s "${1%%/opt/turnstream}" "$1/lib"
find "$1" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
