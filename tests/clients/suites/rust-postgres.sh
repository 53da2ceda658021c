# shellcheck shell=bash disable=SC2034
# rust-postgres at commit e1cd6bee (after 0.19.10): tokio-postgres, postgres, postgres-derive, postgres-native-tls,
# postgres-openssl. Needs the headers of OpenSSL. SUITE_TESTS: arguments for the test programs, such as a name.

SUITE_USER=postgres

# The address and passwords written down in the tests are filled in; they log in with SCRAM, in both passes.
suite_prepare() {
    cp -r "$SOURCE/." .
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}/rust-postgres"
    grep -rlE '5433|user=(postgres|ssl_user)' --include='*.rs' . | grep -v -e /benches/ -e /parse.rs >files.txt
    xargs sed -i -E "s/user=(postgres|ssl_user)\b/& password=$SUITE_PASSWORD/" <files.txt
    tar -cf files.tar -T files.txt
}

suite_sql() {
    local user
    psql_direct -d "$SUITE_DATABASE" -c 'CREATE EXTENSION hstore' -c 'CREATE EXTENSION citext' -c 'CREATE EXTENSION ltree'
    for user in pass_user md5_user scram_user ssl_user; do
        psql_direct -d "$SUITE_DATABASE" -c "CREATE ROLE $user LOGIN PASSWORD 'password' IN ROLE dba"
    done
    psql_direct -d "$SUITE_DATABASE" -c "ALTER ROLE ssl_user PASSWORD '$SUITE_PASSWORD'"
}

suite_tests() {
    local package
    tar -xf files.tar
    xargs sed -i "s/5433/$PGPORT/g" <files.txt
    # Who signed the certificates of server and proxy.
    cp "$STATE/tls/ca.crt" test/server.crt
    unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE
    for package in tokio-postgres postgres postgres-derive-test postgres-native-tls postgres-openssl; do
        # shellcheck disable=SC2086
        cargo test -j2 -p "$package" --all-features --tests --no-fail-fast -- ${SUITE_TESTS:-} >out.txt 2>&1 || true
        cat out.txt
        sed -nE -e 's/^test (.*) \.\.\. ok$/ok - \1/p' -e 's/^test (.*) \.\.\. FAILED$/not ok - \1/p' out.txt >"$1/$package.tap"
    done
}
