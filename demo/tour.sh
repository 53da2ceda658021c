#!/usr/bin/env bash
# The tour: eight steps through pgglass with psql, each with assertions. Prints a transcript and
# exits 0 only if every step showed what it must. Called by `./run demo --once`; on its own it
# needs PGGLASS (the binary) in the environment. It is a demonstration with checks, not the tests.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PGGLASS="${PGGLASS:?set PGGLASS to the pgglass binary}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

# MRN0001234 is on nobody's list; MRN0001235 neither.
EMERGENCY_MRN=MRN0001234 EMERGENCY_ID=881234 OTHER_MRN=MRN0001235
NOTE='unconscious, unknown anticoagulant, resus 2'

STEP='' FAILED=()
step() { STEP="$1"; printf '\n== %s ==\n' "$1"; }
# expect WHAT COMMAND...: the command must succeed.
expect() {
    local what="$1"
    shift
    if "$@"; then
        printf '   ok: %s\n' "$what"
    else
        printf '   FAILED: %s\n' "$what"
        FAILED+=("$STEP: $what")
    fi
}
# Comparisons as functions, so that expect can call them.
equal() { [ "$1" = "$2" ] || { printf '      got "%s", want "%s"\n' "$1" "$2"; return 1; }; }
contains() { grep -qF -- "$2" <<<"$1" || { printf '      "%s" not found\n' "$2"; return 1; }; }
matches() { grep -qE -- "$2" <<<"$1" || { printf '      "%s" does not match %s\n' "$1" "$2"; return 1; }; }
lacks() { ! grep -qF -- "$2" <<<"$1" || { printf '      "%s" found\n' "$2"; return 1; }; }
succeeds() { "$@" >/dev/null 2>&1; }
refused() { ! "$@" >/dev/null 2>&1; }

# One psql connection that stays open: `as USER` opens it, `query SQL` runs a statement on it and
# sets ROWS (unaligned), ERRORS (messages) and SQLSTATE.
ROWS='' ERRORS='' SQLSTATE='' USER_NOW='' PSQL_JOB='' PSQL_IN='' PSQL_OUT=''
as() {
    hang_up
    USER_NOW="$1"
    : >"$STATE/psql.err"
    coproc PSQL { PGSERVICEFILE="$STATE/pg_service.conf" exec psql -X -q -A -t -d "service=$USER_NOW" 2>>"$STATE/psql.err"; }
    PSQL_JOB="$PSQL_PID"
    # Own copies of the descriptors: bash closes and unsets its own as soon as psql ends.
    local in="${PSQL[1]}" out="${PSQL[0]}"
    exec {PSQL_IN}>&"$in" {PSQL_OUT}<&"$out"
    exec {in}>&- {out}<&-
}
hang_up() {
    [ -n "$PSQL_JOB" ] || return 0
    exec {PSQL_IN}>&- {PSQL_OUT}<&-
    wait "$PSQL_JOB" 2>/dev/null || true
    PSQL_JOB=''
}
query() {
    local line end="@@end-$RANDOM$RANDOM"
    ROWS='' SQLSTATE='no answer'
    : >"$STATE/psql.err"
    { printf '%s\n' "$1;" "\\echo $end :SQLSTATE" >&"$PSQL_IN"; } 2>/dev/null || true
    while IFS= read -r -t 30 -u "$PSQL_OUT" line; do
        if [[ "$line" == "$end"* ]]; then
            SQLSTATE="${line#"$end "}"
            break
        fi
        ROWS+="${ROWS:+$'\n'}$line"
    done
    ERRORS="$(cat "$STATE/psql.err")"
    printf '%s=> %s;\n' "$USER_NOW" "$1"
    [ -z "$ROWS" ] || head -n 12 <<<"$ROWS"
    [ -z "$ERRORS" ] || printf '%s\n' "$ERRORS"
}
direct() { psql_direct -d "$DEMO_DATABASE" -A -t -c "$1"; }
run_pgglass() {
    printf '$ pgglass %s\n' "$*"
    OUTPUT="$("$PGGLASS" "$@" 2>&1)" && OUTPUT_STATUS=0 || OUTPUT_STATUS=$?
    head -n 40 <<<"$OUTPUT"
}
OUTPUT='' OUTPUT_STATUS=0

LOOKUP="SELECT name, drug FROM clinic.patient JOIN clinic.current_medication USING (patient_id) WHERE mrn = '$EMERGENCY_MRN'"
OTHER_LOOKUP="SELECT name FROM clinic.patient WHERE mrn = '$OTHER_MRN'"

tour_enforcement() {
    local assigned drug amy_patients='SELECT count(*) FROM clinic.patient'
    assigned="$(direct "SELECT count(*) FROM glass.assigned WHERE user_name = 'nurse_amy' AND valid_to IS NULL")"
    drug="$(direct "SELECT drug FROM clinic.current_medication WHERE patient_id = $EMERGENCY_ID AND high_risk")"

    step '1. A nurse sees her patients, and no others'
    as nurse_amy
    query "$amy_patients"
    expect "she sees the $assigned patients assigned to her" equal "$ROWS" "$assigned"
    query 'SELECT count(DISTINCT patient_id) FROM clinic.lab_order JOIN clinic.lab_result USING (order_id)'
    expect "laboratory results, two foreign keys away, are hers only" equal "$ROWS" "$assigned"

    step '2. A lookup outside her assignment is refused, with the remedy in the message'
    query "$LOOKUP"
    expect 'SQLSTATE 42501' equal "$SQLSTATE" 42501
    expect 'the code GLS-201' contains "$ERRORS" GLS-201
    expect 'the remedy glass.open in the message itself' matches "$ERRORS" 'ERROR:.*glass\.open'
    expect 'no row' equal "$ROWS" ''

    step '3. Billing sees every patient, masked, and no notes'
    as bill_eva
    query "SELECT ssn, phone, birth_date FROM clinic.patient WHERE mrn = 'MRN0000001'"
    expect 'number redacted, telephone cut to two digits, birth date cut to the year' \
        matches "$ROWS" '^\*\*\*\|\*+[0-9]{2}\|[0-9]{4}-01-01$'
    expect 'the database itself has the clear value' \
        matches "$(direct "SELECT ssn FROM clinic.patient WHERE mrn = 'MRN0000001'")" '^9[0-9]{2}-'
    query 'SELECT body FROM clinic.note LIMIT 1'
    expect 'notes are refused' equal "$SQLSTATE" 42501
    expect 'no note text' equal "$ROWS" ''

    step '4. In an emergency she breaks the glass'
    as nurse_amy
    query "SELECT * FROM glass.open('$EMERGENCY_MRN', 'BTG', '$NOTE')"
    expect 'the session opens' equal "$SQLSTATE" 00000
    query "$LOOKUP"
    expect "the same lookup now answers: $drug" contains "$ROWS" "$drug"
    query "$OTHER_LOOKUP"
    expect 'another patient stays closed' contains "$ERRORS" GLS-201
    expect 'and shows no row' equal "$ROWS" ''
    query "$amy_patients"
    expect 'exactly one patient more' equal "$ROWS" "$((assigned + 1))"

    step '5. She closes it, and the lookup is refused again'
    query 'SELECT glass.close()'
    expect 'the session closes' equal "$SQLSTATE" 00000
    query "$LOOKUP"
    expect 'SQLSTATE 42501' equal "$SQLSTATE" 42501
    expect 'the code GLS-201' contains "$ERRORS" GLS-201
    query "$amy_patients"
    expect 'her own patients are still there' equal "$ROWS" "$assigned"
    hang_up
}

tour_ledger() {
    local copy="$STATE/copy" file offset='' byte size

    step "6. Who saw patient $EMERGENCY_ID, and why"
    run_pgglass report patient "$EMERGENCY_ID" --directory "$LEDGER"
    expect 'the report runs' equal "$OUTPUT_STATUS" 0
    expect 'it names the nurse' contains "$OUTPUT" nurse_amy
    expect 'it shows the refused try' contains "$OUTPUT" GLS-201
    expect 'it shows the reason' contains "$OUTPUT" BTG
    expect 'it shows her note' contains "$OUTPUT" "$NOTE"

    step '7. The ledger verifies with nothing but the public key'
    stop_proxy
    run_pgglass verify --directory "$LEDGER" --public-key "$PUBLIC_KEY"
    expect 'verify passes' equal "$OUTPUT_STATUS" 0

    step '8. One flipped bit in a copy is found'
    cp -a "$LEDGER" "$copy"
    # A byte inside a record if its text is readable on disk, else the middle of the largest file.
    file="$(grep -rlaF "$EMERGENCY_MRN" "$copy" | head -n 1 || true)"
    if [ -n "$file" ]; then
        offset="$(grep -aboF "$EMERGENCY_MRN" "$file" | head -n 1 | cut -d: -f1 || true)"
    else
        file="$(find "$copy" -type f -printf '%s %p\n' | sort -rn | head -n 1 | cut -d' ' -f2-)"
        size="$(stat -c %s "${file:-/dev/null}")"
        offset=$((size / 2))
    fi
    if [ -z "$file" ] || [ "$(stat -c %s "$file")" -eq 0 ]; then
        expect 'the ledger has something in it' false
        return
    fi
    byte="$(od -An -tu1 -j "$offset" -N 1 "$file" | tr -d ' ')"
    # The format is the byte itself, as an octal escape.
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $((byte ^ 1)))" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
    printf 'flipped the lowest bit of byte %s of %s\n' "$offset" "${file#"$copy"/}"
    expect 'the copy differs' refused cmp -s "$file" "$LEDGER/${file#"$copy"/}"
    run_pgglass verify --directory "$copy" --public-key "$PUBLIC_KEY"
    expect 'verify finds it' refused equal "$OUTPUT_STATUS" 0
    expect 'and says so' matches "$OUTPUT" '[[:alnum:]]'
    expect 'the ledger itself still verifies' succeeds "$PGGLASS" verify --directory "$LEDGER" --public-key "$PUBLIC_KEY"
}

demo_up
tour_enforcement
tour_ledger
if [ "${#FAILED[@]}" -gt 0 ]; then
    printf '\nThe tour FAILED in %d place(s):\n' "${#FAILED[@]}"
    printf '  %s\n' "${FAILED[@]}"
    [ -z "${KEEP_LOG:-}" ] || cp "$STATE/pgglass.log" "$KEEP_LOG"
    printf '\nLast lines of the log of pgglass:\n'
    tail -n 15 "$STATE/pgglass.log"
    exit 1
fi
printf '\nThe tour: every step showed what it must.\n'
