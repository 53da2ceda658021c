#!/usr/bin/env bash
# The driver matrix: small real programs, one a driver, run straight to PostgreSQL and through pgglass,
# every result compared. `./run matrix` calls it. Not for measuring, and not for the policy in depth.
#
#   tests/clients/matrix/run.sh [DRIVER...]      all drivers unless named
#
# For dba_gus (scope "all") both ways lead to one database. For nurse_amy (scope "assigned") the direct
# way leads to a copy without the other patients: what pgglass promises to look like.
# Environment: PGGLASS (the binary), VENV, MODULES and PROGRAMS (made by `run`), KEEP (a folder for the raw results).
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
HERE="$ROOT/tests/clients/matrix"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"
: "${PGGLASS:?the binary}" "${VENV:?a venv with requirements-matrix.txt}" "${MODULES:?a folder with node_modules}"
: "${PROGRAMS:?a folder with the built programs of rust/}"

ALL=(tools psql pgbench pg_dump psycopg3 psycopg2 asyncpg pg8000 sqlalchemy django node-pg pg-cursor pg-query-stream postgres.js tokio-postgres sqlx jdbc)
# What a login that sees some patients runs as well; pg_dump locks whole tables.
RESTRICTED=(tools psql pgbench psycopg3 psycopg2 asyncpg pg8000 sqlalchemy django node-pg pg-cursor pg-query-stream postgres.js tokio-postgres sqlx jdbc)
JDBC_JAR=/usr/share/java/postgresql.jar

program() {
    case "$1" in
        pgbench | pg_dump) "$HERE/programs.sh" "$1" ;;
        tools | psycopg3) "$VENV/bin/python" "$HERE/$1.py" ;;
        psql | psycopg2 | asyncpg | pg8000 | sqlalchemy | django) "$VENV/bin/python" "$HERE/${1}_.py" ;;
        node-pg) node "$MODULES/drivers.mjs" pg ;;
        pg-cursor | pg-query-stream) node "$MODULES/drivers.mjs" "$1" ;;
        postgres.js) node "$MODULES/drivers.mjs" postgres ;;
        tokio-postgres | sqlx) "$PROGRAMS/${1//-/_}" ;;
        jdbc) java -cp "$JDBC_JAR" "$HERE/Jdbc.java" ;;
        *) fail "no such driver: $1" ;;
    esac
}

# The copy that a login of scope "assigned" is compared with: nurse_amy's patients and nobody else.
make_copy() {
    psql_direct -d template1 -c "CREATE DATABASE mine TEMPLATE $DEMO_DATABASE"
    psql_direct -d mine <<'SQL'
CREATE TEMP TABLE keep AS SELECT patient_id FROM glass.assigned
    WHERE user_name = 'nurse_amy' AND (valid_to IS NULL OR valid_to > now());
DELETE FROM clinic.lab_result WHERE (order_id IN (SELECT order_id FROM clinic.lab_order JOIN keep USING (patient_id))) IS NOT TRUE;
DELETE FROM clinic.lab_order WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.note WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.bed_assignment WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.appointment WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.care_team WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.problem WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.allergy WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.medication_order WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.encounter WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM glass.assigned WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
DELETE FROM clinic.patient WHERE (patient_id IN (TABLE keep)) IS NOT TRUE;
SQL
}

matrix_up() {
    find_pg_bin
    STATE="$(mktemp -d "${TMPDIR:-/tmp}/pgglass-matrix.XXXXXX")"
    chmod 711 "$STATE"
    trap demo_down EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    make_certificates "$STATE/tls"
    start_database
    # Room for tables of pgbench and pg_restore.
    psql_direct -d "$DEMO_DATABASE" -c 'GRANT USAGE, CREATE ON SCHEMA public TO dba'
    make_copy
    start_proxy
    # The warning that rows are withheld is a setting, and would stand beside every result.
    sed -i 's/^rows_withheld = true/rows_withheld = false/' "$STATE/pgglass.toml"
    kill -HUP "$PROXY_PID"
    mkdir "$STATE/results" "$STATE/scratch"
}

# run_driver DRIVER SCOPE USER WAY PORT DATABASE TLS
run_driver() {
    local driver="$1" scope="$2" user="$3" way="$4" port="$5" database="$6" tls="$7"
    local out="$STATE/results/$scope.$driver.$way"
    export MATRIX_SCOPE="$scope" MATRIX_SCRATCH="$STATE/scratch" MATRIX_SOCKET="$STATE/socket" MATRIX_DIRECT_PORT="$DB_PORT"
    export PGHOST=localhost PGPORT="$port" PGUSER="$user" PGPASSWORD="$user-demo" PGDATABASE="$database"
    export PGSSLMODE="$tls" PGSSLROOTCERT="$STATE/tls/ca.crt" PGTZ=UTC TZ=UTC LC_ALL=C.UTF-8
    # A program that ends early leaves lines missing, which the report shows.
    (program "$driver") >"$out" 2>"$out-log" </dev/null || true
}

main() {
    local driver chosen=("$@") start
    [ "${#chosen[@]}" -gt 0 ] || chosen=("${ALL[@]}")
    matrix_up
    for driver in "${chosen[@]}"; do
        if [ "$driver" = jdbc ] && { ! command -v javac >/dev/null || [ ! -e "$JDBC_JAR" ]; }; then
            say "jdbc: skipped, no JDK (or no $JDBC_JAR)"
            continue
        fi
        start=$SECONDS
        run_driver "$driver" all dba_gus direct "$DB_PORT" "$DEMO_DATABASE" disable
        run_driver "$driver" all dba_gus pgglass "$PROXY_PORT" "$DEMO_DATABASE" verify-full
        if [[ " ${RESTRICTED[*]} " == *" $driver "* ]]; then
            run_driver "$driver" assigned nurse_amy direct "$DB_PORT" mine disable
            run_driver "$driver" assigned nurse_amy pgglass "$PROXY_PORT" "$DEMO_DATABASE" verify-full
        fi
        say "$driver: $((SECONDS - start)) s"
    done
    [ -z "${KEEP:-}" ] || { rm -rf "$KEEP"; cp -r "$STATE/results" "$KEEP"; }
    python3 "$HERE/report.py" "$STATE/results" "$HERE/known.txt"
}

main "$@"
