# shellcheck shell=bash disable=SC2034
# pg8000 1.31.4 (its repository at that tag). SUITE_TESTS: arguments for pytest, such as -k NAME.
need_venv
# Written down in its tests. Those of other ways to log in (md5, GSS) want a pg_hba.conf of their own.
SUITE_USER=postgres SUITE_PASSWORD=pw

suite_prepare() {
    cp -r "$SOURCE/test" "$SOURCE/README.md" .
    # One pgglass serves one database.
    grep -rl pg8000_scram_sha_256 test | xargs sed -i 's/pg8000_scram_sha_256/postgres/'
}

suite_sql() { psql_direct -d "$SUITE_DATABASE" -c 'CREATE EXTENSION hstore'; }

suite_tests() {
    local again=()
    [ "${1##*/}" != again ] || again=(--last-failed --last-failed-no-failures none)
    # shellcheck disable=SC2086
    pytest test -q --timeout 60 --benchmark-disable --junitxml "$1/report.xml" "${again[@]}" ${SUITE_TESTS:-}
}
