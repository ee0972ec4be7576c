#!/bin/sh
# Gives the tests a PostgreSQL with PostGIS of their own: installs Debian's packages if they are missing, makes
# the cluster "tsfal_test" on port 54330 and starts it. Needs root and Debian or Ubuntu; anywhere else it says
# what is not covered and lets the tests go on. TSFAL_TEST_POSTGIS=URL makes the tests use another server.
set -eu
PATH=$PATH:/usr/sbin:/sbin

not_covered() {
    cat >&2 <<EOF
==================================================================================================
  NOT COVERED: the PostGIS label store ($1).
  The tests of tests/labels/test_postgis.py are skipped. To cover them, run as root on Debian or
  Ubuntu, or set TSFAL_TEST_POSTGIS=postgresql://... to an empty database with PostGIS.
==================================================================================================
EOF
    exit 0
}

[ -z "${TSFAL_TEST_POSTGIS:-}" ] || exit 0
[ "$(id -u)" = 0 ] || not_covered "not root"
command -v apt-get >/dev/null || not_covered "no apt-get here"

installed() {
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 &&
        ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1
}

if ! installed; then
    log=$(mktemp)
    echo "Installing PostgreSQL and PostGIS for the tests ..." >&2
    if ! {
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        apt-get install -y -q --no-install-recommends postgresql postgresql-postgis
    } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        not_covered "apt-get failed; the whole log is $log"
    fi
    rm -f "$log"
fi

version=$(ls /usr/share/postgresql | sort -n | while read -r v; do
    if [ -e "/usr/share/postgresql/$v/extension/postgis.control" ]; then echo "$v"; fi
done | tail -n 1)
cluster=tsfal_test
port=54330

if ! pg_lsclusters -h | awk '{print $1 "/" $2}' | grep -qx "$version/$cluster"; then
    # Lost test data costs nothing: without fsync the tests are several times faster.
    pg_createcluster "$version" "$cluster" --port "$port" --start-conf manual --locale C.UTF-8 \
        -o fsync=off -o synchronous_commit=off -o full_page_writes=off >/dev/null
fi
pg_ctlcluster "$version" "$cluster" status >/dev/null 2>&1 || pg_ctlcluster "$version" "$cluster" start

as_postgres() { runuser -u postgres -- psql -p "$port" -X -q -v ON_ERROR_STOP=1 "$@"; }

# The server answers a moment after it was started.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if as_postgres -c 'SELECT 1' >/dev/null 2>&1; then break; fi
    sleep 1
done
as_postgres -tc "SELECT 1 FROM pg_roles WHERE rolname = 'root'" | grep -q 1 ||
    as_postgres -c 'CREATE ROLE root SUPERUSER LOGIN'
as_postgres -tc "SELECT 1 FROM pg_database WHERE datname = '$cluster'" | grep -q 1 ||
    as_postgres -c "CREATE DATABASE $cluster OWNER root"
as_postgres -d "$cluster" -c 'CREATE EXTENSION IF NOT EXISTS postgis' 2>/dev/null
echo "PostGIS for the tests: postgresql:///$cluster?host=/var/run/postgresql&port=$port" >&2
