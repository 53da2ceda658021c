#!/usr/bin/env bash
# pgbench on the demonstration database in one run: directly, through PgBouncer, and through pgglass,
# in turn and several rounds, so that a machine that slows down slows all of them. Prints the median
# transactions per second and their ratios; no pass or fail.
#
# Every client connection is in clear text on loopback and every password is checked by SCRAM, so
# that the three ways differ in nothing but who stands between. The database runs with fsync off,
# the ledger with it on. PgBouncer in session mode, as pgglass: one server connection a client.
#
# usage: PGGLASS=<release build> benches/end_to_end.sh     ROUNDS=5 SECONDS_EACH=4 by default
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PGGLASS="${PGGLASS:?set PGGLASS to a release build of pgglass}"
ROUNDS="${ROUNDS:-5}" SECONDS_EACH="${SECONDS_EACH:-4}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

bouncer_up() {
    BOUNCER_PORT="$(free_port)"
    # PgBouncer takes the verifiers from a file and passes SCRAM through, as pgglass does.
    psql_direct -d "$DEMO_DATABASE" -At -c \
        "SELECT format('\"%s\" \"%s\"', rolname, rolpassword) FROM pg_authid WHERE rolpassword IS NOT NULL" \
        >"$STATE/userlist.txt"
    cat >"$STATE/pgbouncer.ini" <<INI
[databases]
$DEMO_DATABASE = host=127.0.0.1 port=$DB_PORT
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $BOUNCER_PORT
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $STATE/userlist.txt
pool_mode = session
default_pool_size = 100
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
logfile = $STATE/pgbouncer.log
INI
    local runner=()
    if [ "$(id -u)" -eq 0 ]; then
        chown -R postgres "$STATE/pgbouncer.ini" "$STATE/userlist.txt"
        touch "$STATE/pgbouncer.log"
        chown postgres "$STATE/pgbouncer.log"
        chmod 711 "$STATE"
        runner=(runuser -u postgres --)
    fi
    "${runner[@]}" pgbouncer -q "$STATE/pgbouncer.ini" &
    BOUNCER_PID=$!
    local try
    for try in {1..50}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$BOUNCER_PORT") 2>/dev/null && return
        sleep 0.1
    done
    fail "PgBouncer did not start: $(tail -n 3 "$STATE/pgbouncer.log")"
}

# tps USER PORT MODE CLIENTS SCRIPT
tps() {
    PGPASSWORD="$1-demo" PGSSLMODE=disable \
        "$PG_BIN/pgbench" -n -M "$3" -T "$SECONDS_EACH" -c "$4" -j 2 -f "$5" \
        -h 127.0.0.1 -p "$2" -U "$1" "$DEMO_DATABASE" 2>"$STATE/pgbench.err" |
        sed -n 's/^tps = \([0-9.]*\).*/\1/p' | grep . || { cat "$STATE/pgbench.err" >&2; fail "pgbench failed"; }
}
median() { sort -g | awk '{v[NR]=$1} END {print (NR % 2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

# compare LABEL MODE CLIENTS SCRIPT USER: the same user takes all three ways.
compare() {
    local label="$1" mode="$2" clients="$3" script="$4" user="$5" round way
    local -A port=([direct]="$DB_PORT" [bouncer]="$BOUNCER_PORT" [pgglass]="$PROXY_PORT") got=() mid=()
    for ((round = 0; round < ROUNDS; round++)); do
        for way in direct bouncer pgglass; do
            got[$way]+="$(tps "$user" "${port[$way]}" "$mode" "$clients" "$script")"$'\n'
        done
    done
    for way in direct bouncer pgglass; do mid[$way]="$(printf '%s' "${got[$way]}" | median)"; done
    printf '%-30s %-8s %3d %9.0f %9.0f %9.0f %10s %10s\n' "$label" "$mode" "$clients" \
        "${mid[direct]}" "${mid[bouncer]}" "${mid[pgglass]}" \
        "$(ratio "${mid[pgglass]}" "${mid[direct]}")" "$(ratio "${mid[pgglass]}" "${mid[bouncer]}")"
}

PATH="$PATH:/usr/sbin"
command -v pgbouncer >/dev/null || fail "pgbouncer is missing: apt-get install pgbouncer"
DEMO_CLEARTEXT=loopback DEMO_MAX_CONNECTIONS=200 demo_up
bouncer_up
trap 'kill "$BOUNCER_PID" 2>/dev/null; demo_down' EXIT
# Inpatients of ward 3, nurse_amy's: 880003, 880015 ...
printf '%s\n' 'SELECT 1;' >"$STATE/one.sql"
# More keys than wards: most texts of simple queries are new.
printf '%s\n' '\set n random(1, 100000)' 'SELECT name FROM clinic.ward WHERE ward_id = :n;' >"$STATE/ward.sql"
printf '%s\n' '\set p 880003 + 12 * random(0, 24)' 'SELECT name, birth_date FROM clinic.patient WHERE patient_id = :p;' >"$STATE/point.sql"
printf '%s\n' '\set p 880003 + 12 * random(0, 24)' 'SELECT r.analyte, r.value FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id) WHERE o.patient_id = :p;' >"$STATE/labs.sql"

printf '%s\n' 'SELECT i, i * 2 AS j FROM generate_series(1, 1000000) AS i;' >"$STATE/million.sql"

printf '%d rounds of %d s each; medians of transactions per second; %s\n\n' "$ROUNDS" "$SECONDS_EACH" "$(nproc) cores"
printf '%-30s %-8s %3s %9s %9s %9s %10s %10s\n' statement mode n direct pgbouncer pgglass /direct /pgbouncer
for clients in ${CLIENTS:-1 32}; do
    for mode in simple extended prepared; do
        compare 'SELECT 1 (verbatim)' "$mode" "$clients" "$STATE/one.sql" nurse_amy
        compare 'reference table (verbatim)' "$mode" "$clients" "$STATE/ward.sql" nurse_amy
        [ "$mode" = extended ] && continue
        compare 'patient lookup, restricted' "$mode" "$clients" "$STATE/point.sql" nurse_amy
        compare 'patient lookup, all patients' "$mode" "$clients" "$STATE/point.sql" dba_gus
        compare 'labs of a patient, restricted' "$mode" "$clients" "$STATE/labs.sql" nurse_amy
    done
done
compare '1,000,000 rows (verbatim)' simple 1 "$STATE/million.sql" nurse_amy

# seconds PORT: a million rows of COPY, thrown away.
copy_seconds() {
    local start end
    start="$(date +%s%N)"
    PGPASSWORD=nurse_amy-demo PGSSLMODE=disable psql -X -q -h 127.0.0.1 -p "$1" -U nurse_amy -d "$DEMO_DATABASE" \
        -c 'COPY (SELECT i, i * 2 AS j FROM generate_series(1, 1000000) AS i) TO STDOUT' >/dev/null
    end="$(date +%s%N)"
    awk -v n=$((end - start)) 'BEGIN {printf "%.3f\n", n / 1e9}'
}
declare -A copied=()
for ((round = 0; round < ROUNDS; round++)); do
    copied[direct]+="$(copy_seconds "$DB_PORT")"$'\n'
    copied[bouncer]+="$(copy_seconds "$BOUNCER_PORT")"$'\n'
    copied[pgglass]+="$(copy_seconds "$PROXY_PORT")"$'\n'
done
direct="$(printf '%s' "${copied[direct]}" | median)" bouncer="$(printf '%s' "${copied[bouncer]}" | median)"
pgglass="$(printf '%s' "${copied[pgglass]}" | median)"
printf '%-30s %-8s %3d %9s %9s %9s %10s %10s\n' 'COPY out, 1,000,000 rows: s' simple 1 "$direct" "$bouncer" "$pgglass" \
    "$(ratio "$direct" "$pgglass")" "$(ratio "$bouncer" "$pgglass")"
