#!/usr/bin/env bash
# Drivers' own test suites, once straight to PostgreSQL and once through pgglass as a login of scope
# "all", and the difference between the two lists of outcomes. The suites themselves are not in this
# repository: asyncpg's comes with its source package, the others from a folder named on the command
# line. Takes minutes; not part of ./run test. See suites/compare.py for what counts.
# Every pass has a server of its own: what one leaves behind cannot fail the next.
#
#   tests/clients/suites.sh SUITE [FOLDER]    FOLDER: unpacked source of the suite, at the version that
#                                             suites/SUITE.sh names
#
# SUITE: @SUITES@.
# SUITE_TESTS: what to run of it, see suites/SUITE.sh. KEEP: a folder for the reports and logs.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
HERE="$ROOT/tests/clients/suites"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/pgglass"
PGGLASS="${PGGLASS:-${CARGO_TARGET_DIR:-$CACHE/target}/debug/pgglass}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

# What suites/SUITE.sh may set: the login, the database, and four functions.
#   suite_source            sets SOURCE, when no folder was named
#   suite_prepare           lays the tests out in the folder $WORK, the current one
#   suite_sql               what the database must have, with psql_direct
#   suite_tests REPORT ...  runs the tests in $WORK against PGHOST, PGPORT ...; leaves JUnit reports (.xml) or TAP logs
#                           (.tap) in the folder REPORT; its exit status does not count. REPORT's base name is
#                           direct, pgglass or again (what failed through pgglass once more, or all)
SUITE_USER=suite SUITE_PASSWORD=suite-demo SUITE_DATABASE=postgres
suite_source() { usage >&2; exit 2; }
suite_prepare() { cp -r "$SOURCE/tests" .; }
suite_sql() { :; }
WORK='' SOURCE='' BASE=''

usage() { sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed "s/@SUITES@/$(suites)/"; }
suites() { (cd "$HERE" && printf '%s\n' *.sh | sed 's/\.sh$//' | paste -sd' '); }

need_venv() {
    local wanted="$HERE/requirements.txt"
    VENV="$CACHE/venv-suites"
    if ! cmp -s "$wanted" "$VENV/requirements.txt"; then
        rm -rf "$VENV"
        python3 -m venv "$VENV"
        "$VENV/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$VENV/requirements.txt"
    fi
    export PATH="$VENV/bin:$PATH"
}

# The modules of suites/package.json; pg-native is built against the system's libpq.
need_modules() {
    MODULES="$CACHE/node-suites"
    cmp -s "$HERE/package-lock.json" "$MODULES/package-lock.json" && [ -d "$MODULES/node_modules" ] && return
    rm -rf "$MODULES"
    mkdir -p "$MODULES"
    cp "$HERE/package.json" "$HERE/package-lock.json" "$MODULES/"
    (cd "$MODULES" && npm ci --no-audit --no-fund --loglevel=error) || { rm -rf "$MODULES"; fail "npm ci failed"; }
}

# The demonstration under the database name that the tests take for granted.
suite_up() {
    STATE="$BASE/pass"
    mkdir -m 711 "$STATE"
    DEMO_DATABASE=clinic
    make_certificates "$STATE/tls"
    start_database
    psql_direct -d template1 -c 'DROP DATABASE postgres' -c "ALTER DATABASE $DEMO_DATABASE RENAME TO $SUITE_DATABASE"
    DEMO_DATABASE="$SUITE_DATABASE"
    add_suite_user
    suite_sql
    # TLS here too: some tests look at buffers and garbage, which differ between TLS and cleartext.
    command install -o "$(stat -c %U "$STATE/database")" -m 600 "$STATE"/tls/server.{crt,key} "$STATE/database/"
    psql_direct -d "$DEMO_DATABASE" -c 'ALTER SYSTEM SET ssl = on' -c 'SELECT pg_reload_conf()' >/dev/null
    DEMO_CLEARTEXT=loopback start_proxy
    # Logins that the tests make themselves have a role as well.
    sed -i 's/^\[role\.dba\]$/&\ndefault = true/' "$STATE/pgglass.toml"
    kill -HUP "$PROXY_PID"
}

suite_down() {
    stop_proxy
    if [ -f "$STATE/database/postmaster.pid" ]; then
        as_postgres "$PG_BIN/pg_ctl" -D "$STATE/database" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$STATE"
}

clean_up() {
    local status=$?
    trap - EXIT INT TERM
    suite_down
    rm -rf "$BASE"
    exit "$status"
}

# A superuser in the group of scope "all": the suites create roles, types, databases and functions.
# The demonstration does not let superusers in; this one function is the lock.
add_suite_user() {
    psql_direct -d "$DEMO_DATABASE" <<SQL
DO \$\$ BEGIN CREATE ROLE $SUITE_USER SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$;
ALTER ROLE $SUITE_USER LOGIN PASSWORD '$SUITE_PASSWORD';
GRANT dba TO $SUITE_USER;
ALTER ROLE $SUITE_USER SET search_path = public;
CREATE OR REPLACE FUNCTION glass.verifier(login text)
RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a WHERE a.rolname = login AND a.rolcanlogin';
GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC;
SQL
}

# one_pass WAY: the suite directly ("direct") or through pgglass ("pgglass", "again"), on a server of its own.
one_pass() {
    local way="$1" port report="$REPORTS/$1"
    suite_up
    port="$DB_PORT"
    [ "$way" = direct ] || port="$PROXY_PORT"
    rm -rf "$report"
    mkdir -p "$report"
    say "$NAME: $way"
    (
        cd "$WORK"
        export PGHOST=localhost PGPORT="$port" PGUSER="$SUITE_USER" PGPASSWORD="$SUITE_PASSWORD" PGDATABASE="$SUITE_DATABASE"
        suite_tests "$report"
    ) >"$report/log.txt" 2>&1 </dev/null || true
    compgen -G "$report/*.xml" >/dev/null || compgen -G "$report/*.tap" >/dev/null \
        || { tail -n 30 "$report/log.txt" >&2; fail "$NAME left no report"; }
    stop_proxy
    cp "$STATE/pgglass.log" "$report/pgglass.txt"
    suite_down
}

compare() { python3 "$HERE/compare.py" "$HERE/known/$NAME.txt" "$REPORTS/direct" "$REPORTS/pgglass" "$@"; }

main() {
    NAME="${1:-}"
    [ -f "$HERE/${NAME:-none}.sh" ] || { usage >&2; exit 2; }
    # shellcheck source=/dev/null
    source "$HERE/$NAME.sh"
    find_pg_bin
    BASE="$(mktemp -d "${TMPDIR:-/tmp}/pgglass-suites.XXXXXX")"
    chmod 711 "$BASE"
    STATE="$BASE/pass"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    WORK="$BASE/$NAME" REPORTS="${KEEP:-$BASE/reports}"
    mkdir -p "$WORK" "$REPORTS"
    SOURCE="${2:-}"
    [ -n "$SOURCE" ] || suite_source
    SOURCE="$(cd "$SOURCE" && pwd)"
    (cd "$WORK" && suite_prepare)
    one_pass direct
    one_pass pgglass
    # Some tests wait for a tenth of a second: on a busy machine only a failure that repeats counts.
    if ! compare >"$BASE/first.txt"; then
        one_pass again
        compare "$REPORTS/again"
    else
        cat "$BASE/first.txt"
    fi
}

main "$@"
