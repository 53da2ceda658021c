# shellcheck shell=bash disable=SC2034
# postgres.js 3.4.9 (its repository at that tag). Needs nothing but node. SUITE_TESTS: nothing.
SUITE_USER=postgres_js_test SUITE_DATABASE=postgres_js_test

# Its runner stops at the first failure and prints no names. What its bootstrap makes is in suite_sql: dropdb and createdb
# want other databases. Logins without a password get one from PGPASSWORD.
suite_prepare() {
    cp -r "$SOURCE/src" "$SOURCE/tests" "$SOURCE/package.json" .
    sed -i -e 's/^    failed$/    false/' -e "s/process.stdout.write('✅')/console.log('ok - ' + name + ' at line ' + line)/" \
        -e "s/^      tests\[line\].failed = failed = true/      console.log('not ok - ' + name + ' at line ' + line, err)\n&/" tests/test.js
    sed -i "/^exec('/d" tests/bootstrap.js
    # Replication connections, which pgglass refuses; the program ends when one fails.
    sed -i "s/^t('subscribe/nt('subscribe/" tests/index.js
}

suite_sql() {
    local user
    for user in postgres_js_test_md5 postgres_js_test_scram; do
        psql_direct -d "$SUITE_DATABASE" -c "CREATE USER $user PASSWORD '$user' IN ROLE dba"
    done
    psql_direct -d "$SUITE_DATABASE" -c "ALTER DATABASE $SUITE_DATABASE OWNER TO postgres_js_test"
    psql_direct -d "$SUITE_DATABASE" -c 'ALTER SYSTEM SET max_prepared_transactions = 10'
    as_postgres "$PG_BIN/pg_ctl" -D "$STATE/database" -w -m fast -l "$STATE/database/server.log" restart >/dev/null
}

# One of them fails directly as well and leaves the program waiting.
suite_tests() {
    unset PGDATABASE
    sed -e "s|localhost:5432/|localhost:$PGPORT/|" -e "s|connect(5432)|connect($PGPORT)|" tests/index.js >tests/run.js
    timeout 120 node tests/run.js >"$1/postgres-js.tap"
}
