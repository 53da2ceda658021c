# shellcheck shell=bash
# psycopg 3.2.9 (its repository at that tag). SUITE_TESTS: arguments for pytest, such as -k NAME.
need_venv

suite_prepare() {
    cp -r "$SOURCE/tests" .
    printf '[pytest]\nfilterwarnings =\n    error\n' >pytest.ini
}

# Left out: other packages, another server, and what takes minutes (-m in SUITE_TESTS takes the place of this one).
suite_tests() {
    local again=()
    [ "${1##*/}" != again ] || again=(--last-failed --last-failed-no-failures none)
    export PSYCOPG_TEST_DSN="host=$PGHOST port=$PGPORT user=$PGUSER password=$PGPASSWORD dbname=$PGDATABASE"
    unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE
    # shellcheck disable=SC2086
    pytest tests -q --timeout 40 -m 'not slow and not mypy and not crdb' --ignore tests/pool --ignore tests/crdb \
        --junitxml "$1/report.xml" "${again[@]}" ${SUITE_TESTS:-}
}
