#!/bin/sh
# Makes .venv and installs one level of dependencies into it: demo, test (demo + test) or dev (all).
# Does nothing when that level is installed already. Prints one line and how to mend it when it can't.
set -eu

level=${1:-demo}
venv=.venv
fail() {
    echo "make setup: $1" >&2
    exit 1
}

case "$(uname -s)" in
    Linux | Darwin) ;;
    *) fail "Parley runs on Linux and macOS; on Windows use WSL 2 (wsl --install)" ;;
esac

hint="Debian/Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install python@3.13"
suits() { # is $1 a Python from 3.11 to 3.13?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}
has_venv() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null
}
# an interrupted set-up leaves an environment without pip: make it anew
if [ -x "$venv/bin/python" ] && ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    rm -rf "$venv"
fi
if [ -n "${PYTHON:-}" ]; then
    suits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11, 3.12 or 3.13. $hint"
    python=$PYTHON
elif [ -x "$venv/bin/python" ] && suits "$venv/bin/python"; then
    python=$venv/bin/python
else
    python=
    without_venv=
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && suits "$candidate"; then
            if has_venv "$candidate"; then
                python=$candidate
                break
            fi
            without_venv=$candidate
        fi
    done
    [ -n "$python" ] || [ -z "$without_venv" ] ||
        fail "$without_venv has no venv module. Debian/Ubuntu: sudo apt-get install python3-venv"
    [ -n "$python" ] || fail "no Python 3.11, 3.12 or 3.13 found. $hint"
fi

if [ ! -x "$venv/bin/python" ] || [ -n "${PYTHON:-}" ]; then
    has_venv "$python" ||
        fail "$python has no venv module. Debian/Ubuntu: sudo apt-get install python3-venv"
    if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c "
import subprocess, sys
want = subprocess.check_output(['$python', '-c', 'import sys; print(sys.version_info[:2])'], text=True).strip()
sys.exit(str(sys.version_info[:2]) != want)"; then
        rm -rf "$venv"
        echo "Making $venv with $("$python" --version) ..."
        "$python" -m venv "$venv"
    fi
fi

case $level in
    demo) sets="demo" ;;
    test) sets="demo test" ;;
    dev) sets="demo test dev" ;;
    *) fail "unknown level $level (demo, test or dev)" ;;
esac
for set in $sets; do
    lock=requirements/$set.txt
    stamp=$venv/.installed-$set
    if [ -f "$stamp" ] && cmp -s "$lock" "$stamp"; then
        continue
    fi
    echo "Installing $lock (once; a few minutes on a slow line) ..."
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
        fail "pip could not install $lock (see above). No network, or a platform that a package has no wheel for: $(uname -sm)"
    cp "$lock" "$stamp"
done
if [ ! -x "$venv/bin/parley" ] || ! cmp -s pyproject.toml "$venv/.installed-parley"; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --no-build-isolation --editable .
    cp pyproject.toml "$venv/.installed-parley"
fi
