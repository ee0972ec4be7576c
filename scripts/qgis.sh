#!/bin/sh
# Gives the tests a real QGIS: installs Debian's packages if they are missing. Needs root and Debian or Ubuntu;
# anywhere else it says what is not covered and lets the tests go on.
set -eu
PATH=$PATH:/usr/sbin:/sbin

not_covered() {
    cat >&2 <<EOF
==================================================================================================
  NOT COVERED: the label files beside a real QGIS ($1).
  The tests of tests/labels/test_qgis.py are skipped. To cover them, run as root on Debian or
  Ubuntu, or install QGIS with its Python bindings for /usr/bin/python3.
==================================================================================================
EOF
    exit 0
}

# QGIS's Python must not see another Python's modules or another PROJ.
has_qgis() {
    env -u PYTHONHOME -u PYTHONPATH -u PROJ_LIB -u PROJ_DATA -u GDAL_DATA QT_QPA_PLATFORM=offscreen \
        /usr/bin/python3 -c 'import qgis.core' >/dev/null 2>&1
}

if has_qgis; then exit 0; fi
[ "$(id -u)" = 0 ] || not_covered "not root"
command -v apt-get >/dev/null || not_covered "no apt-get here"

log=$(mktemp)
echo "Installing QGIS for the tests ..." >&2
if ! {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends qgis python3-qgis
} >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    not_covered "apt-get failed; the whole log is $log"
fi
rm -f "$log"
has_qgis || not_covered "its Python module does not load"
