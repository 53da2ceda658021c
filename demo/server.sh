# shellcheck shell=bash
# Starts and stops what the demonstration needs on this machine: certificates, a PostgreSQL of its
# own with the demo database, and pgglass in front of it. Sourced by `run` and demo/tour.sh, which
# set ROOT (the clone) and PGGLASS (the binary). Not for production: durability of the database is
# switched off and the passwords are public.
#
# demo_up fills: STATE (everything on disk), PROXY_PORT, DB_PORT, LEDGER, PUBLIC_KEY.

DEMO_USERS=(nurse_amy nurse_bob dr_chen dr_diaz bill_eva ana_fox dba_gus audit_hal)
DEMO_DATABASE=clinic
STATE='' PROXY_PID='' PROXY_PORT='' DB_PORT='' LEDGER='' PUBLIC_KEY='' PG_BIN=''

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Newest installed server's program folder.
find_pg_bin() {
    local dir best=''
    for dir in /usr/lib/postgresql/*/bin; do
        [ -x "$dir/initdb" ] && best="$(printf '%s\n%s\n' "$best" "$dir" | sort -V | tail -n 1)"
    done
    [ -n "$best" ] || fail "no PostgreSQL server found in /usr/lib/postgresql/*/bin"
    PG_BIN="$best"
}

# initdb and postgres refuse to run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# A loopback port that nobody answers on now.
free_port() {
    local port try
    for try in {1..50}; do
        port=$((20000 + (RANDOM * 2 + try) % 40000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s\n' "$port"
            return
        fi
    done
    fail "no free loopback port found"
}

make_certificates() {
    local dir="$1"
    mkdir -m 700 "$dir"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=pgglass demo CA' \
        -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>"$dir/openssl.log"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=localhost' \
        -keyout "$dir/server.key" -out "$dir/server.csr" 2>>"$dir/openssl.log"
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:false\nextendedKeyUsage=serverAuth\n' \
        >"$dir/server.ext"
    openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -set_serial 2 -days 2 \
        -extfile "$dir/server.ext" -out "$dir/server.crt" 2>>"$dir/openssl.log"
    chmod 600 "$dir"/*.key
}

# psql as the database's superuser over the private socket, past the proxy: setup and comparisons.
psql_direct() {
    PGPASSWORD='' psql -X -q -v ON_ERROR_STOP=1 -h "$STATE/socket" -p "$DB_PORT" -U postgres "$@"
}

start_database() {
    local pg_user
    pg_user="$(id -un)"
    [ "$(id -u)" -eq 0 ] && pg_user=postgres
    mkdir -m 700 "$STATE/database" "$STATE/socket"
    chown "$pg_user" "$STATE/database" "$STATE/socket"
    as_postgres "$PG_BIN/initdb" -D "$STATE/database" -U postgres -E UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256 >"$STATE/initdb.log" 2>&1 \
        || { cat "$STATE/initdb.log" >&2; fail "initdb failed"; }
    local try
    for try in 1 2 3; do
        DB_PORT="$(free_port)"
        if as_postgres "$PG_BIN/pg_ctl" -D "$STATE/database" -w -t 30 -l "$STATE/database/server.log" start \
            -o "-p $DB_PORT -c listen_addresses=127.0.0.1 -k '$STATE/socket' -c fsync=off -c full_page_writes=off -c max_connections=${DEMO_MAX_CONNECTIONS:-100}" \
            >"$STATE/pg_ctl.log" 2>&1; then
            break
        fi
        [ "$try" -lt 3 ] || { cat "$STATE/pg_ctl.log" "$STATE/database/server.log" >&2; fail "PostgreSQL did not start"; }
    done
    psql_direct -d postgres -c "CREATE DATABASE $DEMO_DATABASE"
    local file
    for file in roles schema data; do
        psql_direct -d "$DEMO_DATABASE" -1 -f "$ROOT/demo/$file.sql" >/dev/null
    done
}

# Service and password file, so that `psql service=nurse_amy` logs in through the proxy over TLS.
write_client_files() {
    local user
    for user in "${DEMO_USERS[@]}"; do
        printf '[%s]\nhost=localhost\nport=%s\ndbname=%s\nuser=%s\npassword=%s-demo\nsslmode=verify-full\nsslrootcert=%s\n\n' \
            "$user" "$PROXY_PORT" "$DEMO_DATABASE" "$user" "$user" "$STATE/tls/ca.crt"
    done >"$STATE/pg_service.conf"
    chmod 600 "$STATE/pg_service.conf"
}

start_proxy() {
    mkdir -m 700 "$STATE/secrets" "$STATE/ledger"
    (umask 077 && printf 'pgglass-demo\n' >"$STATE/secrets/service-password")
    "$PGGLASS" keygen --out "$STATE/secrets/ledger.key" --name demo-1 >"$STATE/keygen.log" 2>&1 \
        || { cat "$STATE/keygen.log" >&2; fail "pgglass keygen failed"; }
    # Read by whoever sources this file.
    # shellcheck disable=SC2034
    LEDGER="$STATE/ledger" PUBLIC_KEY="$STATE/secrets/ledger.key.pub"
    [ -s "$PUBLIC_KEY" ] || fail "pgglass keygen wrote no $PUBLIC_KEY"
    PROXY_PORT="$(free_port)"
    sed -e "s|@LISTEN_PORT@|$PROXY_PORT|" -e "s|@UPSTREAM_PORT@|$DB_PORT|" -e "s|@DIR@|$STATE|" \
        -e "s|@DATABASE@|$DEMO_DATABASE|" -e "s|@NODE@|demo-1|" \
        -e "s|^cleartext = .*|cleartext = \"${DEMO_CLEARTEXT:-never}\"\nmax_connections = ${DEMO_MAX_CONNECTIONS:-100}|" "$ROOT/demo/pgglass.toml" >"$STATE/pgglass.toml"
    write_client_files
    "$PGGLASS" check --config "$STATE/pgglass.toml" >"$STATE/check.log" 2>&1 \
        || { cat "$STATE/check.log" >&2; fail "pgglass check refused the demo configuration"; }
    # Its own session, so that Ctrl-C reaches this script first and the proxy is stopped in order.
    setsid "$PGGLASS" serve --config "$STATE/pgglass.toml" >"$STATE/pgglass.log" 2>&1 </dev/null &
    PROXY_PID=$!
    local try
    for try in {1..150}; do
        grep -qs listening "$STATE/pgglass.log" && return
        kill -0 "$PROXY_PID" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 40 "$STATE/pgglass.log" >&2 || true
    fail "pgglass did not get ready (after $((try / 5)) s; its log is above)"
}

# Stops the proxy and waits for it, so that the ledger is complete.
stop_proxy() {
    [ -n "$PROXY_PID" ] || return 0
    kill -TERM "$PROXY_PID" 2>/dev/null || true
    local try
    for try in {1..100}; do
        kill -0 "$PROXY_PID" 2>/dev/null || break
        [ "$try" -eq 100 ] && kill -KILL "$PROXY_PID" 2>/dev/null
        sleep 0.1
    done
    wait "$PROXY_PID" 2>/dev/null || true
    PROXY_PID=''
}

demo_up() {
    find_pg_bin
    STATE="$(mktemp -d "${TMPDIR:-/tmp}/pgglass-demo.XXXXXX")"
    chmod 711 "$STATE"
    trap demo_down EXIT
    # With a trap, bash lets the running command end first: no initdb writes behind the removal.
    trap 'exit 130' INT
    trap 'exit 143' TERM
    say "PostgreSQL: starting ($PG_BIN) and loading 2,000 invented patients"
    make_certificates "$STATE/tls"
    start_database
    say "pgglass: starting"
    start_proxy
}

demo_down() {
    local status=$?
    trap - EXIT INT TERM
    stop_proxy
    if [ -n "$STATE" ] && [ -d "$STATE" ]; then
        if [ -f "$STATE/database/postmaster.pid" ]; then
            as_postgres "$PG_BIN/pg_ctl" -D "$STATE/database" -m immediate -w stop >/dev/null 2>&1 || true
        fi
        rm -rf "$STATE"
    fi
    exit "$status"
}
