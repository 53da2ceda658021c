#!/usr/bin/env bash
# The test suites of psycopg 3 and asyncpg, once straight to PostgreSQL and once through pgglass as a
# login of scope "all", and the difference between the two lists of outcomes. The suites themselves
# are not in this repository: asyncpg's comes with its source package, psycopg's from a folder named
# on the command line. Takes minutes; not part of ./run test. See suites_compare.py for what counts.
# Every pass has a server of its own: what one leaves behind cannot fail the next.
#
#   tests/clients/suites.sh asyncpg [FOLDER]     FOLDER: unpacked source, instead of a download
#   tests/clients/suites.sh psycopg FOLDER       FOLDER: a clone of psycopg at the tag of its version
#
# SUITE_TESTS: further arguments for pytest (such as -k NAME). KEEP: a folder for the two reports.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
HERE="$ROOT/tests/clients"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/pgglass"
PGGLASS="${PGGLASS:-${CARGO_TARGET_DIR:-$CACHE/target}/debug/pgglass}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

SUITE_USER=suite SUITE_PASSWORD=suite-demo
WORK='' SOURCE='' BASE=''

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

need_venv() {
    local wanted="$HERE/requirements-suites.txt"
    VENV="$CACHE/venv-suites"
    if ! cmp -s "$wanted" "$VENV/requirements.txt"; then
        rm -rf "$VENV"
        python3 -m venv "$VENV"
        "$VENV/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$VENV/requirements.txt"
    fi
}

# The version that requirements-suites.txt pins for a package.
pinned() { sed -nE "s/^$1(\[.*\])?==//p" "$HERE/requirements-suites.txt"; }

# asyncpg's tests are in its source package only, which pip also unpacks; nothing of it is built.
download_asyncpg() {
    local version
    version="$(pinned asyncpg)"
    SOURCE="$CACHE/suites/asyncpg-$version"
    [ -d "$SOURCE/tests" ] && return
    mkdir -p "$CACHE/suites"
    "$VENV/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary asyncpg \
        --dest "$CACHE/suites" "asyncpg==$version"
    tar -xzf "$CACHE/suites/asyncpg-$version.tar.gz" -C "$CACHE/suites"
}

# The demonstration under the database name "postgres", which asyncpg's tests take for granted.
suite_up() {
    STATE="$BASE/pass"
    mkdir -m 711 "$STATE"
    DEMO_DATABASE=clinic
    make_certificates "$STATE/tls"
    start_database
    psql_direct -d template1 -c 'DROP DATABASE postgres' -c "ALTER DATABASE $DEMO_DATABASE RENAME TO postgres"
    DEMO_DATABASE=postgres
    add_suite_user
    # TLS here too: some tests look at buffers and garbage, which differ between TLS and cleartext.
    command install -o "$(stat -c %U "$STATE/database")" -m 600 "$STATE"/tls/server.{crt,key} "$STATE/database/"
    psql_direct -d postgres -c 'ALTER SYSTEM SET ssl = on' -c 'SELECT pg_reload_conf()' >/dev/null
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
CREATE ROLE $SUITE_USER SUPERUSER LOGIN PASSWORD '$SUITE_PASSWORD' IN ROLE dba;
ALTER ROLE $SUITE_USER SET search_path = public;
CREATE OR REPLACE FUNCTION glass.verifier(login text)
RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a WHERE a.rolname = login AND a.rolcanlogin';
GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC;
SQL
}

# run_suite NAME WAY REPORT [ARGUMENT...]: one pass, WAY being "direct" or "pgglass", on a server of its own.
# The exit status of pytest is not ours: the lists are compared.
run_suite() {
    local name="$1" way="$2" report="$3" extra=() chosen=() port
    shift 3
    read -ra chosen <<<"${SUITE_TESTS:-}"
    suite_up
    port="$DB_PORT"
    [ "$way" = direct ] || port="$PROXY_PORT"
    # Left out: other packages, another server, and what takes minutes (-m in SUITE_TESTS takes the place of this one).
    [ "$name" = asyncpg ] || extra=(-m 'not slow and not mypy and not crdb' --ignore tests/pool --ignore tests/crdb)
    extra+=("$@" "${chosen[@]}")
    say "$name: $way $*"
    (
        cd "$WORK/$name"
        export PGHOST=localhost PGPORT="$port" PGUSER="$SUITE_USER" PGPASSWORD="$SUITE_PASSWORD"
        export PGDATABASE="$DEMO_DATABASE" PATH="$VENV/bin:$PATH"
        if [ "$name" = psycopg ]; then
            export PSYCOPG_TEST_DSN="host=localhost port=$port user=$SUITE_USER password=$SUITE_PASSWORD dbname=$PGDATABASE"
            unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE
        fi
        "$VENV/bin/pytest" tests -q --timeout 40 --junitxml "$report" "${extra[@]}"
    ) >"$report.log" 2>&1 || true
    [ -s "$report" ] || { tail -n 30 "$report.log" >&2; fail "$name left no report ($report.log)"; }
    tail -n 1 "$report.log"
    stop_proxy
    [ -z "${KEEP:-}" ] || cp "$STATE/pgglass.log" "$report.server.log"
    suite_down
}

main() {
    local name="${1:-}"
    need_venv
    case "$name" in
        asyncpg) SOURCE="${2:-}"; [ -n "$SOURCE" ] || download_asyncpg ;;
        psycopg) SOURCE="${2:-}"; [ -n "$SOURCE" ] || { usage >&2; exit 2; } ;;
        *) usage >&2; exit 2 ;;
    esac
    [ -d "$SOURCE/tests" ] || fail "no folder tests in $SOURCE"
    find_pg_bin
    BASE="$(mktemp -d "${TMPDIR:-/tmp}/pgglass-suites.XXXXXX")"
    chmod 711 "$BASE"
    STATE="$BASE/pass"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    WORK="${KEEP:-$BASE/suites}"
    rm -rf "${WORK:?}/$name"
    mkdir -p "$WORK/$name"
    # Only the tests: the package itself is the released one.
    cp -r "$SOURCE/tests" "$WORK/$name/"
    [ "$name" = asyncpg ] || printf '[pytest]\nfilterwarnings =\n    error\n' >"$WORK/$name/pytest.ini"
    run_suite "$name" direct "$WORK/$name-direct.xml"
    run_suite "$name" pgglass "$WORK/$name-pgglass.xml"
    # Some tests wait for a tenth of a second: on a busy machine only a failure that repeats counts.
    run_suite "$name" pgglass "$WORK/$name-again.xml" --last-failed --last-failed-no-failures none
    "$VENV/bin/python" "$HERE/suites_compare.py" "$WORK/$name-direct.xml" "$WORK/$name-pgglass.xml" \
        "$WORK/$name-again.xml" "$HERE/suites_known_$name.txt"
}

main "$@"
