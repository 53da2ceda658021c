//! Writes of a role with masks: what another table of the statement calls its columns does not matter, and the masked
//! columns of the written table are not read by any name. What they return is in `p2_leaks`.

use crate::common::{Database, Proxy};
use crate::p2_enforcement::{assert_no_canary, databases};
use crate::support::{amys, hide};
use crate::wire::Wire;

/// Of the written tables; notes, problems and orders have columns of these names, too.
const MASKS: &str = "\n[role.nurse.masks.\"clinic.encounter\"]\nkind = \"redact\"\nward_id = \"null\"\ncomplaint = \"redact\"\n\
                     [role.nurse.masks.\"clinic.problem\"]\nstatus = \"null\"\n";

fn masked(config: String) -> String {
    hide(config) + MASKS
}

fn start() -> (Database<'static>, Database<'static>, Proxy<'static>, Wire, Wire) {
    let (whole, hers) = databases(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse; \
         UPDATE clinic.encounter SET complaint = 'CANARY' || encounter_id; \
         UPDATE clinic.note SET kind = 'k' || note_id % 3",
    );
    let proxy = Proxy::start_with(&whole, masked);
    let (direct, through) = (Wire::direct(&hers, "nurse_amy"), Wire::through(&proxy, &whole, "nurse_amy"));
    (whole, hers, proxy, direct, through)
}

/// Columns of other tables that are called like masked ones of the written table.
const WORK: &[&str] = &[
    // Without a fence and with one, qualified.
    "UPDATE clinic.encounter e SET attending = 'x' WHERE EXISTS (SELECT 1 FROM clinic.note n WHERE n.encounter_id = e.encounter_id AND n.kind = 'k1')",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE EXISTS (SELECT 1 FROM clinic.note n WHERE n.patient_id = e.patient_id AND 1000 / length(n.author) > 5)",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE EXISTS (SELECT 1 FROM clinic.note n WHERE n.patient_id = e.patient_id AND 1000 / length(n.kind) > 5)",
    "UPDATE clinic.encounter e SET charge = charge + 1 WHERE NOT EXISTS (SELECT FROM clinic.appointment a WHERE a.patient_id = e.patient_id AND 10 / a.ward_id > 1)",
    "DELETE FROM clinic.problem p WHERE EXISTS (SELECT * FROM clinic.medication_order m WHERE m.patient_id = p.patient_id AND 100 / m.dose > 1 AND m.status = 'active') AND p.problem_id % 4 = 0",
    "DELETE FROM clinic.problem p USING clinic.medication_order m WHERE m.patient_id = p.patient_id AND m.status::text || 'x' = 'activex' AND p.problem_id % 4 = 1",
    "UPDATE clinic.encounter e SET attending = n.kind FROM clinic.note n WHERE n.note_id = (SELECT max(note_id) FROM clinic.note x WHERE x.patient_id = e.patient_id AND 9 / length(x.kind) > 1)",
    // What is written, and what is returned, is the other table's.
    "UPDATE clinic.encounter e SET attending = n.kind FROM clinic.note n WHERE n.encounter_id = e.encounter_id AND n.note_id % 7 = 1 RETURNING n.kind, e.attending",
    "UPDATE clinic.encounter e SET attending = 'x' FROM clinic.note n WHERE n.encounter_id = e.encounter_id AND n.note_id % 7 = 1 RETURNING n.*, e.charge",
    "UPDATE clinic.encounter SET attending = w.name, complaint = 'new' FROM clinic.ward w WHERE w.ward_id = 1 AND w.floor IS NOT NULL",
    "UPDATE clinic.encounter SET attending = clinic.ward.name FROM clinic.ward WHERE clinic.ward.ward_id = 1",
    "UPDATE clinic.encounter e SET attending = new.kind FROM clinic.note new WHERE new.note_id = 3",
    "UPDATE clinic.encounter e SET attending = (SELECT max(n.kind) FROM clinic.note n WHERE n.patient_id = e.patient_id)",
    // Without a qualifier, where the column is surely the other table's.
    "UPDATE clinic.encounter SET attending = 'x' WHERE patient_id IN (SELECT patient_id FROM clinic.note WHERE kind = 'k2')",
    "UPDATE clinic.encounter SET attending = 'x' WHERE encounter_id IN (SELECT encounter_id FROM clinic.note WHERE kind = 'k2' AND 100 / length(body) > 1)",
    "UPDATE clinic.encounter SET attending = 'x' WHERE patient_id IN (SELECT patient_id FROM clinic.note GROUP BY patient_id, kind HAVING min(kind) > 'k1')",
    "DELETE FROM clinic.problem WHERE problem_id % 4 = 2 AND patient_id IN (SELECT patient_id FROM clinic.medication_order WHERE EXISTS (SELECT FROM clinic.drug WHERE high_risk AND status = 'active'))",
    // Other occurrences of the table itself, in their masked form; kinds are never NULL.
    "WITH o AS (SELECT encounter_id, kind FROM clinic.encounter WHERE kind IS NOT NULL) UPDATE clinic.encounter e SET attending = 'x' FROM o WHERE o.encounter_id = e.encounter_id AND o.kind IS NOT NULL",
    "UPDATE clinic.encounter e SET attending = 'x' FROM clinic.encounter o WHERE o.encounter_id = e.encounter_id AND o.kind IS NOT NULL",
    "UPDATE clinic.encounter e SET attending = 'x' FROM clinic.note n JOIN clinic.lab_order o USING (patient_id) WHERE n.encounter_id = e.encounter_id AND o.patient_id = e.patient_id",
    // Joins of other tables.
    "DELETE FROM clinic.problem p WHERE EXISTS (SELECT FROM clinic.encounter NATURAL JOIN clinic.ward w WHERE patient_id = p.patient_id AND w.ward_id > 100)",
    // Rows that are locked.
    "SELECT e.encounter_id, n.kind FROM clinic.encounter e JOIN clinic.note n USING (encounter_id) ORDER BY n.note_id, 1 LIMIT 5 FOR UPDATE OF e",
    // A row proposed for insertion.
    "INSERT INTO clinic.encounter AS e SELECT min(encounter_id), 880003, 1, 'inpatient', 'x', now(), NULL, 'c', 1 FROM clinic.encounter WHERE patient_id = 880003 \
     ON CONFLICT (encounter_id) DO UPDATE SET attending = excluded.kind",
];

#[test]
fn writes_beside_columns_of_a_masked_ones_name_work() {
    let (whole, hers, _proxy, mut direct, mut through) = start();
    let state = format!(
        "SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) FROM (SELECT e::text FROM clinic.encounter e WHERE patient_id IN ({amys}) \
         UNION ALL SELECT p::text FROM clinic.problem p WHERE patient_id IN ({amys})) r",
        amys = amys()
    );
    let (mut wrong, mut changed) = (Vec::new(), 0);
    let mut before = hers.server().psql(hers.name(), &state);
    for sql in WORK {
        for extended in [false, true] {
            let ask = |wire: &mut Wire| {
                let got = if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
                let mut rows = got.rows();
                rows.sort();
                (got.failure().map(|f| f.sqlstate + " " + &f.message), got.commands(), rows)
            };
            let (expected, got) = (ask(&mut direct), ask(&mut through));
            let states = [&hers, &whole].map(|d| d.server().psql(d.name(), &state));
            if expected != got || states[0] != states[1] || expected.0.is_some() {
                wrong.push(format!("{sql}\n    {expected:?}\n    {got:?}"));
            }
            changed += usize::from(states[0] != before);
            [before, _] = states;
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(changed > 5, "{changed}");
}

/// Every way to name what is masked, where the other names stand, too.
const READ: &[&str] = &[
    "UPDATE clinic.encounter e SET attending = e.kind",
    "UPDATE clinic.encounter SET attending = kind",
    "UPDATE clinic.encounter SET attending = encounter.kind",
    "UPDATE clinic.encounter SET attending = clinic.encounter.kind",
    "UPDATE clinic.encounter e SET attending = (e).kind",
    "UPDATE clinic.encounter e SET attending = left(e::text, 9)",
    "UPDATE clinic.encounter e SET attending = e.to_jsonb ->> 'kind'",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE e.row_to_json ->> 'kind' = 'emergency'",
    "UPDATE clinic.encounter e SET attending = (SELECT e.to_jsonb ->> 'complaint')",
    "UPDATE clinic.encounter e SET attending = n.kind FROM clinic.note n WHERE n.encounter_id = e.encounter_id AND e.kind = n.kind",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE EXISTS (SELECT 1 FROM clinic.note n WHERE n.patient_id = e.patient_id AND n.kind = e.kind)",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE EXISTS (SELECT 1 FROM clinic.note n WHERE n.patient_id = e.patient_id AND complaint LIKE 'CANARY%')",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE EXISTS (SELECT e.* EXCEPT SELECT n FROM clinic.encounter n)",
    "UPDATE clinic.encounter e SET attending = (SELECT max(kind) FROM (SELECT e.kind) s)",
    "UPDATE clinic.encounter e SET attending = (SELECT max(kind) FROM (SELECT kind) s)",
    "UPDATE clinic.encounter e SET attending = (SELECT max(s.kind) FROM clinic.note n, LATERAL (SELECT e.kind) s)",
    "UPDATE clinic.encounter e SET attending = (SELECT max(s.k) FROM clinic.note n, LATERAL (VALUES (e.complaint)) s (k))",
    "UPDATE clinic.encounter e SET attending = (SELECT max(complaint) FROM clinic.note n JOIN clinic.lab_order o ON complaint LIKE 'C%')",
    "UPDATE clinic.encounter e SET attending = (SELECT string_agg(n.kind, e.complaint) FROM clinic.note n)",
    "UPDATE clinic.encounter e SET attending = (SELECT count(*) FROM clinic.note n GROUP BY e.complaint)::text",
    "UPDATE clinic.encounter e SET attending = (SELECT n.kind FROM clinic.note n ORDER BY e.complaint LIMIT 1)",
    "UPDATE clinic.encounter e SET attending = 'x' WHERE (SELECT row_to_json(s) FROM (SELECT e) s) IS NOT NULL",
    "DELETE FROM clinic.problem p USING clinic.medication_order m WHERE m.patient_id = p.patient_id AND m.status = p.status",
    "DELETE FROM clinic.problem p WHERE EXISTS (SELECT FROM clinic.medication_order m WHERE m.status = p.status)",
    "INSERT INTO clinic.encounter AS e SELECT min(encounter_id), 880003, 1, 'inpatient', 'x', now(), NULL, 'c', 1 FROM clinic.encounter WHERE patient_id = 880003 \
     ON CONFLICT (encounter_id) DO UPDATE SET attending = e.kind",
    "INSERT INTO clinic.encounter AS e SELECT min(encounter_id), 880003, 1, 'inpatient', 'x', now(), NULL, 'c', 1 FROM clinic.encounter WHERE patient_id = 880003 \
     ON CONFLICT (encounter_id) DO UPDATE SET attending = e.to_jsonb ->> 'kind'",
    "UPDATE clinic.encounter e SET charge = charge + 1 RETURNING e.to_jsonb",
    "UPDATE clinic.encounter e SET charge = charge + 1 RETURNING (SELECT max(e.kind) FROM clinic.note)",
    "UPDATE clinic.encounter e SET charge = charge + 1 FROM clinic.note n RETURNING n.*, e",
    "UPDATE clinic.encounter e SET charge = charge + 1 RETURNING old",
    "UPDATE clinic.encounter e SET charge = charge + 1 RETURNING to_jsonb(new)",
    "UPDATE clinic.encounter e SET charge = charge + 1 RETURNING new.complaint",
    "UPDATE clinic.encounter e SET charge = charge + 1 RETURNING old.*",
];

#[test]
fn writes_read_masked_columns_by_no_name() {
    let (whole, _hers, _proxy, _direct, mut through) = start();
    let state = "SELECT md5(string_agg(e::text, ',' ORDER BY encounter_id)) FROM clinic.encounter e";
    let before = whole.server().psql(whole.name(), state);
    let mut wrong = Vec::new();
    for sql in READ {
        let got = through.query(sql);
        // Names that no item has are the server's to refuse.
        let refused = |f: &crate::wire::Failure| {
            f.message.starts_with("GLS-240") || ["42P01", "42703"].contains(&f.sqlstate.as_str())
        };
        if !got.failure().as_ref().is_some_and(refused) {
            wrong.push(format!("{sql}: {:?} {:?}", got.failure(), got.rows()));
        }
    }
    // Locked rows stand without their masked form where none of it is read.
    let locked = "SELECT e.to_jsonb, (SELECT e.row_to_json), n.kind FROM clinic.encounter e JOIN clinic.note n USING (encounter_id) FOR UPDATE OF e";
    through.query(locked);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(before, whole.server().psql(whole.name(), state));
    assert_no_canary(&through);
}
