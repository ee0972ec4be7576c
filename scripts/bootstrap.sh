#!/bin/sh
# Makes .venv with everything that demo and tests need. No step has to come before it.
#
#   PYTHON=/path/to/python   the interpreter to use (3.12 or newer); else one is searched, else fetched
#
# A second run is instant unless pyproject.toml, constraints.txt or PYTHON changed.
set -eu

cd "$(dirname "$0")/.."
venv=.venv
tools=.venv-tools
python=${PYTHON:-}

# Networks with their own certificate authority: uv looks at the system's only if told to.
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}" UV_NATIVE_TLS="${UV_NATIVE_TLS:-true}"
fi

say() { echo "set-up: $*" >&2; }
fail() { say "$*"; exit 2; }
# pyenv's shims exist for versions that are not selected, and fail: only a run tells.
runs() { "$1" -c "import sys; sys.exit(sys.version_info < ($2,))" </dev/null >/dev/null 2>&1; }
fits() { runs "$1" "3, 12"; }
version() { "$1" -c 'import platform; print(platform.python_version())' 2>&1 | head -n 1; }

interpreters() {
    for name in python3.12 python3.13 python3.14 python3 python; do
        echo "$PATH" | tr ':' '\n' | while read -r folder; do
            if [ -x "$folder/$name" ]; then echo "$folder/$name"; fi
        done
    done
    for root in "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
        for minor in 3.12 3.13 3.14; do
            ls -d "$root/versions/$minor"*/bin/python3 2>/dev/null || true
        done
    done
}

first() {
    interpreters | while read -r each; do
        if runs "$each" "$1"; then echo "$each"; break; fi
    done
}

find_python() {
    if [ -z "${PYTHON:-}" ]; then python=$(first "3, 12"); return; fi
    command -v "$python" >/dev/null || fail "PYTHON=$python is not there; give the path of a Python 3.12 or newer"
    fits "$python" || fail "PYTHON=$python is '$(version "$python")'; it must be Python 3.12 or newer"
}

find_uv() {
    for each in uv "${HOME:-}/.local/bin/uv" "${HOME:-}/.cargo/bin/uv" "$tools/bin/uv"; do
        if "$each" --version >/dev/null 2>&1; then uv=$each; return; fi
    done
    uv=
    any=${python:-$(first "3, 8")}
    if [ -n "$any" ] && get_uv "$any"; then uv=$tools/bin/uv; fi
}

get_uv() {
    say "getting uv with $1"
    rm -rf "$tools"
    "$1" -m venv "$tools" >/dev/null 2>&1 && "$tools/bin/python" -m pip install -q --disable-pip-version-check uv >&2 \
        && "$tools/bin/uv" --version >/dev/null
}

# A bare Debian has no Python, or one that cannot make environments.
debian_python() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing Debian's python3-venv"
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >&2
}

make_venv() {
    if fits "$venv/bin/python" && [ -z "${PYTHON:-}" ]; then return; fi
    rm -rf "$venv"
    if [ -n "$uv" ]; then
        if [ -z "$python" ]; then
            say "no Python 3.12 or newer here: fetching one"
            "$uv" python install 3.12 || fail "Python 3.12 could not be fetched; install it, or give PYTHON=/path/to/python"
            python=3.12
        fi
        "$uv" venv --quiet --python "$python" "$venv"
    else
        [ -n "$python" ] || fail "no Python 3.12 or newer and no uv to fetch it; install one, or give PYTHON=/path/to/python"
        "$python" -m venv "$venv" || fail "$python cannot make a virtual environment; install its venv package"
    fi
}

install() {
    say "installing into $venv with $(version "$venv/bin/python")"
    if [ -n "$uv" ]; then
        "$uv" pip install --quiet --python "$venv/bin/python" --compile-bytecode -c constraints.txt -e '.[dev]'
    else
        "$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
    fi
}

wanted=$({ cat pyproject.toml constraints.txt scripts/bootstrap.sh; pwd; } | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(sed -n 1p "$stamp")" = "$wanted" ] && fits "$venv/bin/python"; then
    if [ -z "$python" ] || [ "$(sed -n 2p "$stamp")" = "$python" ]; then exit 0; fi
fi
find_python
find_uv
if [ -z "$uv" ] && debian_python; then
    find_python
    find_uv
fi
make_venv
install
printf '%s\n%s\n' "$wanted" "$python" >"$stamp"
