# shellcheck shell=bash
# DBD::Pg 3.16.0 (its repository at that tag; the module is Debian's libdbd-pg-perl).
# SUITE_TESTS: test files, such as t/02attribs.t.

suite_prepare() { cp -r "$SOURCE/t" .; }

suite_sql() { psql_direct -d "$SUITE_DATABASE" -c 'CREATE EXTENSION hstore'; }

# Left out: the files named 00* and 99* look at the package (signature, style).
suite_tests() {
    local file
    export DBI_DSN="dbi:Pg:dbname=$PGDATABASE;host=$PGHOST;port=$PGPORT" DBI_USER="$PGUSER" DBI_PASS="$PGPASSWORD"
    export DBDPG_NOCLEANUP=1
    rm -f README.testdatabase
    for file in ${SUITE_TESTS:-t/00basic.t t/[0-8]?*.t}; do
        case "${file##*/}" in 00_* | 98* | 99*) continue ;; esac
        timeout 300 perl "$file" >"$1/$(basename "$file" .t).tap" || true
    done
}
