#!/usr/bin/env bash
# PostgreSQL's own regression SQL, file by file through psql: straight to a PostgreSQL, and through pgglass as
# a login of scope "all" to another one that was made in the same way; both have run the same files
# before. What the two print must be the same. The SQL is not in this repository: name a folder that
# holds src/test/regress/sql (its test_setup.sql is looked for) and, if wanted, src/pl/plpgsql's.
# The expected results are not needed; neither are the data files (two are made up here).
# Takes five minutes or so; not part of ./run test. See regress_compare.py for what counts.
#
#   tests/clients/regress.sh FOLDER [FILE...]    FILE: names without .sql, instead of all of them
#
# PROTECT=1: the tables of test_setup.sql have patients. REGRESS_VERBOSE=1: the names of the files as they run.
# KEEP: a folder for the two sets of outputs. REGRESS_TIMEOUT: seconds for one file (120).
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
HERE="$ROOT/tests/clients"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/pgglass"
PGGLASS="${PGGLASS:-${CARGO_TARGET_DIR:-$CACHE/target}/debug/pgglass}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

SUITE_USER=suite SUITE_PASSWORD=suite-demo
BASE='' OUT=''
DIRECT_PORT=''

# What others need comes first, in the order of PostgreSQL's parallel_schedule; the rest by name.
FIRST=(test_setup copy copyselect copydml insert insert_conflict create_function_c create_misc create_operator
    create_procedure create_table create_type create_schema create_index create_index_spgist create_view
    index_including index_including_gist create_aggregate create_function_sql create_cast constraints triggers
    select inherit typed_table vacuum drop_if_exists updatable_views roleattributes create_am hash_func errors
    infinite_recurse sanity_check)
# Not run: what stops the server or moves the whole of it, and tests of other platforms.
SKIP=(tablespace collate.windows.win1252)

usage() { sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# As suites.sh has it: a superuser of the group that pgglass gives scope "all".
add_suite_user() {
    psql_direct -d "$DEMO_DATABASE" <<SQL
CREATE ROLE $SUITE_USER SUPERUSER LOGIN PASSWORD '$SUITE_PASSWORD' IN ROLE dba;
CREATE OR REPLACE FUNCTION glass.verifier(login text)
RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a WHERE a.rolname = login AND a.rolcanlogin';
ALTER DATABASE $DEMO_DATABASE SET timezone_abbreviations = 'Default';
ALTER SYSTEM SET max_prepared_transactions = 2;
ALTER SYSTEM SET autovacuum = off;
ALTER SYSTEM SET jit = off;
SQL
    as_postgres "$PG_BIN/pg_ctl" -D "$STATE/database" -w -t 30 -m fast restart >/dev/null
}

# server NAME: a database "regression" of its own. Sets STATE and DB_PORT.
server() {
    STATE="$BASE/$1"
    mkdir -m 711 "$STATE"
    DEMO_DATABASE=regression
    make_certificates "$STATE/tls"
    start_database
    add_suite_user
}

# wait_for TEXT: until the proxy's log has it.
wait_for() {
    local try
    for try in {1..50}; do
        grep -qs "$1" "$STATE/pgglass.log" && return
        sleep 0.1
    done
    tail -n 20 "$STATE/pgglass.log" >&2
    fail "the proxy did not say \"$1\" in $((try / 10)) s"
}

stop_server() {
    if [ -f "$1/database/postmaster.pid" ]; then
        as_postgres "$PG_BIN/pg_ctl" -D "$1/database" -m immediate -w stop >/dev/null 2>&1 || true
    fi
}

clean_up() {
    local status=$?
    trap - EXIT INT TERM
    stop_proxy
    [ -z "${KEEP:-}" ] || cp "$BASE/pgglass/pgglass.log" "$OUT/" 2>/dev/null || true
    stop_server "$BASE/direct"
    stop_server "$BASE/pgglass"
    rm -rf "$BASE"
    exit "$status"
}

# Rows of the form that PostgreSQL's onek.data and tenk.data have (the figures are ours).
make_data() {
    mkdir -p "$BASE/src/data" "$BASE/src/results"
    python3 - "$BASE/src/data" <<'PY'
import pathlib, sys
def word(n):
    return "".join(chr(65 + n // 26 ** i % 26) for i in range(4)) + "xx"
for name, rows in (("onek", 1000), ("tenk", 10000)):
    with open(pathlib.Path(sys.argv[1]) / f"{name}.data", "w", encoding="ascii") as file:
        for second in range(rows):
            first = second * 7919 % rows
            mods = [first % m for m in (2, 4, 10, 20, 100, 1000, 2000, 5000, 10000)]
            odd = first % 100 * 2
            values = [first, second, *mods, odd, odd + 1, word(first), word(second), "AAAAxx HHHHxx OOOOxx VVVVxx".split()[second % 4]]
            print(*values, sep="\t", file=file)
PY
    chmod -R a+rX "$BASE/src"
    chmod a+rwx "$BASE/src/results"
}

# run_file WAY PORT FILE: one file through psql. Its exit status is not ours: what it printed is compared.
run_file() {
    local way="$1" port="$2" file="$3" status=0
    (
        cd "$BASE/src"
        export PGHOST=localhost PGPORT="$port" PGUSER="$SUITE_USER" PGPASSWORD="$SUITE_PASSWORD" PGSSLMODE=disable
        export PGDATABASE="$DEMO_DATABASE" PGTZ=PST8PDT PGDATESTYLE='Postgres, MDY' LC_ALL=C
        export PGOPTIONS='-c intervalstyle=postgres_verbose'
        export PG_ABS_SRCDIR="$BASE/src" PG_ABS_BUILDDIR="$BASE/src" PG_LIBDIR=/nonexistent PG_DLSUFFIX=.so
        timeout -k 5 "${REGRESS_TIMEOUT:-120}" psql -X -a -q -v HIDE_TABLEAM=on -v HIDE_TOAST_COMPRESSION=on -f "$file"
    ) >"$OUT/$way/$(basename "$file" .sql).out" 2>&1 </dev/null || status=$?
    [ "$status" -ne 124 ] || printf 'TIMEOUT\n' >>"$OUT/$way/$(basename "$file" .sql).out"
}

# The tables of test_setup.sql that most files read, as tables with patients of their own.
protect_tables() {
    local table key
    while read -r table key; do
        printf '\n[[table]]\nname = "public.%s"\nclass = "labs"\nkey = "%s"\n' "$table" "$key"
    done >>"$STATE/tables.toml" <<'LIST'
tenk1 unique1
tenk2 unique1
onek unique1
onek2 unique1
int2_tbl f1
int4_tbl f1
int8_tbl q1
person age
emp age
student age
stud_emp age
LIST
    sed -i "/^\[reference\]/{
        r $STATE/tables.toml
        N
    }" "$STATE/pgglass.toml"
}

# The files to run, in order, one path a line.
chosen_files() {
    local folder="$1" name path
    shift
    if [ "$#" -gt 0 ]; then
        for name in test_setup "$@"; do find "$folder" -name "$name.sql"; done
        return
    fi
    for name in "${FIRST[@]}"; do find "$folder" -name "$name.sql"; done
    find "$folder" -name '*.sql' | LC_ALL=C sort | while read -r path; do
        name="$(basename "$path" .sql)"
        [[ " ${FIRST[*]} ${SKIP[*]} " == *" $name "* ]] || printf '%s\n' "$path"
    done
}

main() {
    local folder="${1:-}" path files=()
    [ -n "$folder" ] || { usage >&2; exit 2; }
    shift
    folder="$(cd "$folder" && pwd)"
    [ -n "$(find "$folder" -name test_setup.sql)" ] || fail "no test_setup.sql below $folder"
    find_pg_bin
    BASE="$(mktemp -d "${TMPDIR:-/tmp}/pgglass-regress.XXXXXX")"
    chmod 711 "$BASE"
    OUT="${KEEP:-$BASE/out}"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    rm -rf "${OUT:?}/direct" "${OUT:?}/pgglass"
    mkdir -p "$OUT/direct" "$OUT/pgglass"
    make_data
    server direct
    DIRECT_PORT="$DB_PORT"
    server pgglass
    mapfile -t files < <(chosen_files "$folder" "$@")
    if [ -n "${PROTECT:-}" ]; then
        # Tables have to be there when the policy names them.
        run_file direct "$DIRECT_PORT" "${files[0]}"
        run_file pgglass "$DB_PORT" "${files[0]}"
        files=("${files[@]:1}")
    fi
    DEMO_CLEARTEXT=loopback start_proxy
    # Roles that the tests make themselves have scope "all" as well.
    sed -i 's/^\[role\.dba\]$/&\ndefault = true/' "$STATE/pgglass.toml"
    [ -z "${PROTECT:-}" ] || protect_tables
    kill -HUP "$PROXY_PID"
    wait_for "configuration reloaded"
    for path in "${files[@]}"; do
        run_file direct "$DIRECT_PORT" "$path" &
        run_file pgglass "$PROXY_PORT" "$path"
        wait $!
        [ -z "${REGRESS_VERBOSE:-}" ] || say "$(date +%T) $(basename "$path")"
    done
    python3 "$HERE/regress_compare.py" "$OUT" "$HERE/regress_known${PROTECT:+_protected}.txt" "${files[@]}"
}

main "$@"
