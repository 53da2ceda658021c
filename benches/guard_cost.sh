#!/usr/bin/env bash
# What the guard costs, and whether that grows with the number of assigned patients. A database of its own (1,000,000
# labs of 100,000 patients); users with 25, 500, 20,000 and 100,000 assigned patients. One client runs each statement
# guarded through pgglass, unguarded through pgglass (a role that sees everyone), unguarded past it, and past it under a
# row security policy with the same EXISTS; in turn and several rounds, so that a machine that slows down slows all of
# them. Prints medians of the time of one execution and their ratios beside the design's; no pass or fail.
#
# A ratio below 1 is a statement that returns less, because the user sees less. "at the server" is the text that pgglass
# sends, sent past it: what the guard costs the server, whatever the build of pgglass (prepared only).
#
# usage: PGGLASS=<release build> benches/guard_cost.sh [STATEMENT...]
#   ROUNDS=3 SECONDS_EACH=1 LABS=1000000 MODES="prepared simple" by default
#   PLANS=1: no times, but the plan of every statement as the server ran it, for the users of 500 and 100,000
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PGGLASS="${PGGLASS:?set PGGLASS to a release build of pgglass}"
ROUNDS="${ROUNDS:-3}" SECONDS_EACH="${SECONDS_EACH:-1}" LABS="${LABS:-1000000}" MODES="${MODES:-prepared simple}"
SIZES=(25 500 20000 100000)
DATABASE=guard_cost
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

fill() {
    psql_direct -d postgres -c "CREATE DATABASE $DATABASE"
    psql_direct -d "$DATABASE" -v labs="$LABS" >/dev/null <<'SQL'
SET synchronous_commit = off;
SET client_min_messages = warning;
CREATE SCHEMA care;
CREATE SCHEMA policy;
CREATE TABLE care.patients (patient_id int8 PRIMARY KEY, mrn text NOT NULL, name text NOT NULL, ward_id int NOT NULL,
    birth_date date NOT NULL, ssn text NOT NULL, phone text NOT NULL);
INSERT INTO care.patients SELECT p, 'MRN' || p, 'Name of ' || p, p % 200, '1930-01-01'::date + (p % 30000)::int,
    lpad((p * 7919 % 1000000000)::text, 9, '0'), '555-' || lpad((p % 10000)::text, 4, '0')
    FROM generate_series(1, 100000) p;
CREATE INDEX ON care.patients (ward_id);
CREATE TABLE care.labs (lab_id int8 PRIMARY KEY, patient_id int8 NOT NULL REFERENCES care.patients,
    taken_at timestamptz NOT NULL, analyte text NOT NULL, value numeric(8,2) NOT NULL, code text NOT NULL);
INSERT INTO care.labs SELECT g, g % 100000 + 1, '2026-01-01'::timestamptz + (g::int8 * 7919 % :labs) * (interval '365 days' / :labs),
    (ARRAY['sodium','potassium','creatinine','glucose','crp','hb'])[1 + g % 6], (g * 31 % 3000) / 10.0, (g % 1000)::text
    FROM generate_series(0, :labs - 1) g;
CREATE INDEX ON care.labs (patient_id);
CREATE INDEX ON care.labs (taken_at);
CREATE TABLE policy.care_team (user_name text, patient_id int8, PRIMARY KEY (user_name, patient_id));
SQL
    local n
    for n in "${SIZES[@]}"; do
        # u25 goes through pgglass; r25 has the same patients and row security.
        psql_direct -d "$DATABASE" >/dev/null <<SQL
CREATE ROLE u$n LOGIN PASSWORD 'u$n-demo' BYPASSRLS;
CREATE ROLE r$n LOGIN PASSWORD 'r$n-demo';
INSERT INTO policy.care_team SELECT u, p FROM (VALUES ('u$n'), ('r$n')) AS v(u), generate_series(1, $n) p;
SQL
    done
    psql_direct -d "$DATABASE" >/dev/null <<'SQL'
CREATE ROLE everyone LOGIN PASSWORD 'everyone-demo' BYPASSRLS;
CREATE ROLE clerk LOGIN PASSWORD 'clerk-demo' BYPASSRLS;
CREATE SCHEMA glass;
CREATE FUNCTION glass.verifier(login text) RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp BEGIN ATOMIC
    SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a WHERE a.rolname = login AND a.rolcanlogin;
END;
GRANT USAGE ON SCHEMA glass TO pgglass;
GRANT USAGE ON SCHEMA care, policy TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA care, policy TO PUBLIC;
-- Without COLLATE the comparison is one of "C", as current_user is a name, and no index serves: x400 and more.
ALTER TABLE care.labs ENABLE ROW LEVEL SECURITY;
ALTER TABLE care.patients ENABLE ROW LEVEL SECURITY;
CREATE POLICY team ON care.labs USING (EXISTS (SELECT FROM policy.care_team c
    WHERE c.user_name = current_user::text COLLATE "default" AND c.patient_id = labs.patient_id));
CREATE POLICY team ON care.patients USING (EXISTS (SELECT FROM policy.care_team c
    WHERE c.user_name = current_user::text COLLATE "default" AND c.patient_id = patients.patient_id));
VACUUM ANALYZE;
SQL
}

configuration() {
    # The demonstration's sections up to the ledger, for another database.
    sed -n '1,/^\[patient\]/p' "$STATE/pgglass.toml" | sed -e '$d' -e "s/^service_database = .*/service_database = \"$DATABASE\"/"
    cat <<'TOML'
[patient]
key_type = "int8"
[assignment]
relation = "policy.care_team"
principal = "user_name"
patient = "patient_id"
[[table]]
name = "care.patients"
class = "demographics"
key = "patient_id"
[[table]]
name = "care.labs"
class = "labs"
key = "patient_id"
[role.nurse]
users = ["u25", "u500", "u20000", "u100000"]
scope = "assigned"
[role.everyone]
users = ["everyone"]
scope = "all"
[role.clerk]
users = ["clerk"]
scope = "all"
[role.clerk.masks."care.patients"]
ssn = "redact"
phone = { mask = "partial", keep_last = 2 }
birth_date = "year"
[notices]
rows_withheld = false
TOML
}

# The statements, with pgbench's variables. Patients 1 to 25 are everyone's; lab g is patient g % 100000 + 1's.
declare -A SQL=(
    [lookup]='\set g random(0, 24) + 100000 * random(0, 9)
SELECT analyte, value, taken_at FROM care.labs WHERE lab_id = :g;'
    [patient]='\set p random(1, 25)
SELECT lab_id, analyte, value, taken_at FROM care.labs WHERE patient_id = :p ORDER BY taken_at DESC;'
    [report]='SELECT lab_id, patient_id, analyte, value FROM care.labs WHERE taken_at >= '"'2026-04-11 00:00+00'"' AND taken_at < '"'2026-04-12 00:00+00'"';'
    [safe]='SELECT lab_id, patient_id, analyte, value FROM care.labs WHERE taken_at >= '"'2026-04-11 00:00+00'"' AND taken_at < '"'2026-04-12 00:00+00'"' AND value > 100 AND analyte LIKE '"'s%'"';'
    [unsafe]='SELECT lab_id, patient_id, analyte, value FROM care.labs WHERE taken_at >= '"'2026-04-11 00:00+00'"' AND taken_at < '"'2026-04-12 00:00+00'"' AND analyte LIKE '"'s%'"' AND code::int > 100;'
    [join]='\set w random(1, 199)
SELECT p.name, l.analyte, l.value FROM care.patients p JOIN care.labs l ON l.patient_id = p.patient_id WHERE p.ward_id = :w;'
    [aggregate]='SELECT analyte, count(*), avg(value) FROM care.labs WHERE taken_at >= '"'2026-04-01 00:00+00'"' AND taken_at < '"'2026-05-01 00:00+00'"' GROUP BY analyte;'
    [correlated]='\set w random(1, 199)
SELECT p.name, (SELECT sum(l.value * 2) FROM care.labs l WHERE l.patient_id = p.patient_id) FROM care.patients p WHERE p.ward_id = :w;'
    [masked]='\set p random(1, 25)
SELECT name, ssn, phone, birth_date FROM care.patients WHERE patient_id = :p;'
    [unmasked]='\set p random(1, 25)
SELECT name, ward_id FROM care.patients WHERE patient_id = :p;'
    [maskfind]='\set w random(0, 199)
SELECT name, ward_id FROM care.patients WHERE phone LIKE '"'%42'"' AND ward_id = :w;'
)
ORDER=(lookup patient report safe unsafe join aggregate correlated masked unmasked maskfind)
# rules.md, C1 (lookup to aggregate, the unsafe one from C4) and C3: guarded over unguarded at 25, 500, 20,000, 100,000.
declare -A DESIGN=(
    [lookup]='1.2 / 1.4 / 1.5 / 1.4' [patient]='1.1 / 1.2 / 1.3 / 1.2' [report]='- / 0.41 / 1.43 / 3.97'
    [safe]='-' [unsafe]='- / 0.85 / 1.17 / 2.28' [join]='- / 0.04 / 0.38 / 0.37' [aggregate]='- / 0.03 / 1.08 / 1.95'
    [correlated]='-' [masked]='1.2 to 1.7' [unmasked]='1.0' [maskfind]='-'
)

# micros USER PORT MODE FILE: microseconds of one execution.
micros() {
    PGPASSWORD="$1-demo" PGSSLMODE=disable \
        "$PG_BIN/pgbench" -n -D "u=${OF:-nobody}" -M "$3" -T "$SECONDS_EACH" -c 1 -f "$4" -h 127.0.0.1 -p "$2" -U "$1" "$DATABASE" 2>"$STATE/pgbench.err" |
        sed -n 's/^tps = \([0-9.]*\).*/\1/p' | awk '{printf "%.1f\n", 1e6 / $1}' | grep . ||
        { cat "$STATE/pgbench.err" >&2; fail "pgbench failed: $1 $4"; }
}
median() { sort -g | awk '{v[NR]=$1} END {print (NR % 2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
joined() { printf '%s / ' "$@" | sed 's| / $||'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

# compare STATEMENT MODE
compare() {
    local name="$1" mode="$2" round way user port words=() rls=() server=() n
    local ways=(direct all) file="$STATE/$1.sql"
    local -A got=() mid=()
    case "$name" in
        masked | unmasked | maskfind) ways+=(clerk) ;;
        *)
            for n in "${SIZES[@]}"; do ways+=("u$n" "r$n"); done
            if [ "$mode" = prepared ]; then
                guarded "$name" u500
                for n in "${SIZES[@]}"; do ways+=("s$n"); done
            fi
            ;;
    esac
    for ((round = 0; round < ROUNDS; round++)); do
        for way in "${ways[@]}"; do
            case "$way" in
                direct) user=everyone port="$DB_PORT" ;;
                all) user=everyone port="$PROXY_PORT" ;;
                r*) user="$way" port="$DB_PORT" ;;
                s*)
                    got[$way]+="$(OF="u${way#s}" micros everyone "$DB_PORT" "$mode" "$STATE/$name.guarded.sql")"$'\n'
                    continue
                    ;;
                *) user="$way" port="$PROXY_PORT" ;;
            esac
            got[$way]+="$(micros "$user" "$port" "$mode" "$file")"$'\n'
        done
    done
    for way in "${ways[@]}"; do mid[$way]="$(printf '%s' "${got[$way]}" | median)"; done
    if [ "${#ways[@]}" -eq 3 ]; then
        words=("$(ratio "${mid[clerk]}" "${mid[all]}")") rls=(-)
    else
        for n in "${SIZES[@]}"; do
            words+=("$(ratio "${mid[u$n]}" "${mid[all]}")")
            rls+=("$(ratio "${mid[r$n]}" "${mid[direct]}")")
            [ "$mode" = prepared ] && server+=("$(ratio "${mid[s$n]}" "${mid[direct]}")")
        done
    fi
    [ "${#server[@]}" -gt 0 ] || server=(-)
    printf '%-10s %-9s %9s %9s   %-26s %-26s %-24s %s\n' "$name" "$mode" "${mid[direct]}" "${mid[all]}" \
        "$(joined "${words[@]}")" "$(joined "${server[@]}")" "${DESIGN[$name]}" "$(joined "${rls[@]}")"
}

# guarded STATEMENT USER: the text that pgglass sends for it, with pgbench's variables, into a file of its own.
guarded() {
    local name="$1" user="$2" text place n=0
    psql_direct -d "$DATABASE" -c "ALTER ROLE $user SET log_statement = 'all'"
    PGPASSWORD="$user-demo" PGSSLMODE=disable "$PG_BIN/pgbench" -n -M prepared -t 1 -c 1 -f "$STATE/$name.sql" \
        -h 127.0.0.1 -p "$PROXY_PORT" -U "$user" "$DATABASE" >/dev/null 2>&1 || fail "pgbench failed: $name"
    psql_direct -d "$DATABASE" -c "ALTER ROLE $user RESET log_statement"
    text="$(grep -aE 'LOG:  execute .*"?care"?\.' "$STATE/database/server.log" | tail -n 1 | sed "s/.*LOG:  execute [^:]*: //" || true)"
    [ -n "$text" ] || { tail -n 20 "$STATE/database/server.log" >&2; fail "the server's log has no text of $name"; }
    # Its first parameters are pgbench's, one for each place of a variable; the last one is the user.
    while read -r place; do
        n=$((n + 1))
        text="${text//\$$n/$place}"
    done < <(sed '/^\\set/d' "$STATE/$name.sql" | grep -oE ':[a-z]\b' || true)
    text="${text//\$$((n + 1))/:u}"
    { sed -n '/^\\set/p' "$STATE/$name.sql"; printf '%s;\n' "$text"; } >"$STATE/$name.guarded.sql"
}

# plans STATEMENT: as the server ran it, after enough executions that a generic plan may have been chosen.
plans() {
    local user before
    for user in u500 u100000; do
        case "$1" in masked | unmasked | maskfind) user=clerk ;; esac
        before="$(wc -l <"$STATE/database/server.log")"
        PGPASSWORD="$user-demo" PGSSLMODE=disable "$PG_BIN/pgbench" -n -M prepared -t 12 -c 1 -f "$STATE/$1.sql" \
            -h 127.0.0.1 -p "$PROXY_PORT" -U "$user" "$DATABASE" >/dev/null 2>&1 || fail "pgbench failed: $1"
        printf '\n--- %s, %s\n' "$1" "$user"
        tail -n +"$((before + 1))" "$STATE/database/server.log" | awk '
            /LOG:  duration: .* plan:/ {plan = ""}
            {plan = plan $0 "\n"}
            /care\./ {keep = 1}
            END {printf "%s", plan}' | sed -e '/^[0-9].*LOG:  duration/d'
        [ "$user" = clerk ] && break
    done
    return 0
}

DEMO_CLEARTEXT=loopback demo_up
say "filling: $LABS labs of 100000 patients"
fill
configuration >"$STATE/guard_cost.toml"
stop_proxy
# Read back at its start, which takes as long as it is large.
rm -rf "$STATE/ledger" && mkdir -m 700 "$STATE/ledger"
if [ -n "${PLANS:-}" ]; then
    psql_direct -d "$DATABASE" -c "ALTER DATABASE $DATABASE SET session_preload_libraries = 'auto_explain'" \
        -c "ALTER DATABASE $DATABASE SET auto_explain.log_min_duration = 0" \
        -c "ALTER DATABASE $DATABASE SET auto_explain.log_analyze = on"
fi
setsid "$PGGLASS" serve --config "$STATE/guard_cost.toml" >"$STATE/guard_cost.log" 2>&1 </dev/null &
PROXY_PID=$!
for _ in {1..150}; do grep -qs listening "$STATE/guard_cost.log" && break; sleep 0.2; done
grep -qs listening "$STATE/guard_cost.log" || { cat "$STATE/guard_cost.log" >&2; fail "pgglass did not start"; }

[ $# -gt 0 ] && ORDER=("$@")
for name in "${ORDER[@]}"; do
    [ -n "${SQL[$name]:-}" ] || fail "no statement is called $name: ${!SQL[*]}"
    printf '%s\n' "${SQL[$name]}" >"$STATE/$name.sql"
done
if [ -n "${PLANS:-}" ]; then
    for name in "${ORDER[@]}"; do plans "$name"; done
    exit 0
fi
printf '\n%d rounds of %d s each, one client; medians of microseconds; guarded over unguarded through pgglass at 25 / 500 / 20,000 / 100,000\n\n' \
    "$ROUNDS" "$SECONDS_EACH"
printf '%-10s %-9s %9s %9s   %-26s %-26s %-24s %s\n' statement mode direct pgglass guarded/unguarded 'at the server' design 'row security/direct'
for name in "${ORDER[@]}"; do
    for mode in $MODES; do compare "$name" "$mode"; done
done
