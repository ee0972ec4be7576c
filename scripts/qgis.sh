#!/bin/sh
# Gives the tests a real QGIS and the environments that they run in beside it: installs Debian's packages if they
# are missing, makes .venv-qgis (QGIS's own Python with pytest) and .venv-qt6 (PyQt6 and the plugin site's scanners).
# Needs root and Debian or Ubuntu; anywhere else it names the tests that are not covered, and ends without an error.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
# QGIS's Python must not see another Python's modules or another PROJ.
unset PYTHONHOME PYTHONPATH PROJ_LIB PROJ_DATA GDAL_DATA VIRTUAL_ENV || true

python=/usr/bin/python3
packages="qgis python3-qgis python3-venv xvfb xauth fonts-open-sans"
pytest="pytest==9.2.0 pytest-timeout==2.4.0"
with_qgis="$pytest pytest-qgis==5.0.2 pytest-qt==4.5.0"
with_qt6="$pytest PyQt6==6.11.0 PyQt6-Qt6==6.11.2 bandit==1.9.4 detect-secrets==1.5.0 flake8==7.5.0"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

not_covered() {
    cat >&2 <<MESSAGE
==================================================================================================
  NOT COVERED: $1 ($2).
  Those tests are skipped. To cover them, run as root on Debian or Ubuntu, or install QGIS with
  its Python bindings for $python, Python's venv and Xvfb.
==================================================================================================
MESSAGE
}

has_qgis() { QT_QPA_PLATFORM=offscreen "$python" -c 'import qgis.core' >/dev/null 2>&1; }

complete() {
    has_qgis && "$python" -c 'import ensurepip' 2>/dev/null && command -v qgis >/dev/null &&
        command -v Xvfb >/dev/null && [ -d /usr/share/fonts/truetype/open-sans ]
}

install() {
    [ "$(id -u)" = 0 ] || { reason="not root"; return 1; }
    command -v apt-get >/dev/null || { reason="no apt-get here"; return 1; }
    echo "Installing QGIS for the tests ..." >&2
    if ! {
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        # shellcheck disable=SC2086
        apt-get install -y -q --no-install-recommends $packages
    } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        reason="apt-get failed"
        return 1
    fi
}

# environment FOLDER OPTION... -- REQUIREMENT...: made anew when the requirements or the Python changed.
environment() {
    folder=$1
    shift
    options=
    while [ "$1" != -- ]; do options="$options $1"; shift; done
    shift
    wanted=$(echo "$("$python" --version) $options $*" | cksum)
    if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ]; then return 0; fi
    echo "Making $folder ..." >&2
    rm -rf "$folder"
    # shellcheck disable=SC2086
    "$python" -m venv $options "$folder" >"$log" 2>&1 &&
        "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@" >"$log" 2>&1 &&
        echo "$wanted" >"$folder/.installed" || { tail -n 5 "$log" >&2; return 1; }
}

reason="not installed"
complete || install || true
# shellcheck disable=SC2086
environment .venv-qt6 -- $with_qt6 ||
    not_covered "the QGIS plugin under Qt 6, and the plugin site's scan" ".venv-qt6 could not be made"
if ! has_qgis; then
    not_covered "the QGIS plugin and the label files, beside a real QGIS" "$reason"
    exit 0
fi
command -v Xvfb >/dev/null || not_covered "the QGIS plugin in the real desktop" "Xvfb is missing; $reason"
# shellcheck disable=SC2086
environment .venv-qgis --system-site-packages -- $with_qgis ||
    not_covered "the QGIS plugin beside a real QGIS" ".venv-qgis could not be made"
