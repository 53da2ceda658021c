#!/usr/bin/env bash
# PostgreSQL's own programs in the driver matrix: programs.sh pgbench|pg_dump. Prints one line a check
# as checks.py does, which also says what the environment holds. MATRIX_SCRATCH: a folder for files.
# MATRIX_DIRECT_PORT: the server itself, to restore a dump into a database that pgglass does not serve.
set -uo pipefail

SCOPE="${MATRIX_SCOPE:-all}"

emit() { printf '%s\t%s\n' "$1" "$(python3 -c 'import json, sys; print(json.dumps(sys.stdin.read()))')"; }

# Counts only: times and rates differ from run to run.
counts() { grep -E 'number of (transactions actually|failed)|^query mode|error|ERROR|aborted' || true; }

run_pgbench() {
    local mode
    if [ "$SCOPE" = all ]; then
        pgbench -i -s 1 -q 2>&1 | grep -E 'rror|^dropping' | emit 'initialise'
        for mode in simple extended prepared; do
            pgbench -n -M "$mode" -c 4 -j 2 -t 40 2>&1 | counts | emit "TPC-B-like, $mode"
            pgbench -n -S -M "$mode" -c 4 -j 2 -t 100 2>&1 | counts | emit "select only, $mode"
        done
        psql -X -q -A -t -c 'SELECT count(*), count(DISTINCT aid) FROM pgbench_accounts' 2>&1 | emit 'rows afterwards'
        psql -X -q -c 'DROP TABLE pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history' 2>&1 | emit 'dropped'
    fi
    # One transaction with a pipeline and one without, over protected tables.
    cat >"$MATRIX_SCRATCH/patients.sql" <<'SQL'
\set id 880003 + 12 * random(0, 24)
SELECT name FROM clinic.patient WHERE patient_id = :id;
SELECT count(*) FROM clinic.problem p JOIN clinic.patient USING (patient_id) WHERE p.patient_id = :id;
SQL
    sed -e '1a \\\\startpipeline' -e '$a \\\\endpipeline' "$MATRIX_SCRATCH/patients.sql" >"$MATRIX_SCRATCH/pipeline.sql"
    for mode in simple extended prepared; do
        pgbench -n -M "$mode" -c 3 -j 1 -t 40 -f "$MATRIX_SCRATCH/patients.sql" 2>&1 | counts | emit "patients, $mode"
    done
    pgbench -n -M extended -c 3 -j 1 -t 40 -f "$MATRIX_SCRATCH/pipeline.sql" 2>&1 | counts | emit 'patients, pipeline'
}

# Over the socket of the server, as its superuser: the place where a dump is restored to.
direct() { PGHOST="$MATRIX_SOCKET" PGPORT="$MATRIX_DIRECT_PORT" PGUSER=postgres PGSSLMODE=disable "$@"; }

# Without comments, which tell the time, and without the random key of newer versions.
unmarked() { grep -v '^--\|^.\(un\)\?restrict'; }

run_pg_dump() {
    local file="$MATRIX_SCRATCH/clinic.dump"
    pg_dump -n clinic 2>&1 | unmarked | sha256sum | emit 'plain'
    pg_dump -n clinic --inserts --rows-per-insert=50 -t clinic.problem 2>&1 | unmarked | sha256sum | emit 'inserts'
    pg_dump -n clinic --schema-only 2>&1 | unmarked | emit 'schema only'
    rm -rf "$file" "$file.d"
    pg_dump -n clinic -Fc -f "$file" 2>&1 | emit 'custom format'
    pg_restore -f - "$file" 2>&1 | unmarked | sha256sum | emit 'custom format, read back'
    pg_dump -n clinic -Fd -j 2 -f "$file.d" 2>&1 | emit 'parallel'
    direct psql -X -q -d postgres -c 'DROP DATABASE IF EXISTS restored' -c 'CREATE DATABASE restored' 2>/dev/null
    direct pg_restore -d restored "$file" 2>&1 | emit 'restored elsewhere'
    direct psql -X -q -A -t -d restored -c 'SELECT count(*), sum(hashtext(p::text)) FROM clinic.patient p' 2>&1 | emit 'rows there'
    # And a restore through the connection under test.
    psql -X -q -c 'CREATE TABLE public.kept AS SELECT i, i::text AS t, now() AS at FROM generate_series(1, 5000) i' \
        -c 'ALTER TABLE public.kept ADD PRIMARY KEY (i)' -c "COMMENT ON TABLE public.kept IS 'for a while'" 2>&1 | emit 'a table'
    pg_dump -Fc -t public.kept -f "$file" 2>&1 | emit 'its dump'
    pg_restore --clean -d "$PGDATABASE" "$file" 2>&1 | emit 'restored over it'
    psql -X -q -A -t -c 'SELECT count(*), sum(i), max(t) FROM public.kept' -c 'DROP TABLE public.kept' 2>&1 | emit 'its rows'
    pg_dumpall -l "$PGDATABASE" --globals-only --no-role-passwords 2>&1 | unmarked | emit 'roles'
}

"run_$1"
