# shellcheck shell=bash disable=SC2034
# psycopg2 2.9.12 (its repository at that tag). SUITE_TESTS: arguments for pytest, such as -k NAME.
need_venv
SUITE_DATABASE=psycopg2_test

suite_sql() { psql_direct -d "$SUITE_DATABASE" -c 'CREATE EXTENSION hstore'; }

suite_tests() {
    local again=()
    [ "${1##*/}" != again ] || again=(--last-failed --last-failed-no-failures none)
    # shellcheck disable=SC2086
    pytest tests -q --timeout 60 --junitxml "$1/report.xml" "${again[@]}" ${SUITE_TESTS:-}
}
