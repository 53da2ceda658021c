//! Writes of a role with masks: what another table of the statement calls its columns does not matter, and the masked
//! columns of the written table are not read by any name. What they return is in `p2_leaks`.

use crate::common::{Database, Proxy};
use crate::p2_enforcement::{assert_no_canary, databases};
use crate::support::{amys, hide, replaced};
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

/// Masked columns with elements and fields, some by a mask and some by a category.
const PARTS: &str = "
CREATE TYPE clinic.place AS (street text, number int);
CREATE DOMAIN clinic.known AS clinic.place CHECK ((VALUE).street <> 'CANARY street' OR (VALUE).number <> 5);
ALTER TABLE clinic.encounter ADD doc jsonb, ADD codes int[], ADD place clinic.place, ADD known clinic.known,
    ADD places clinic.place[], ADD shown jsonb, ADD shown_codes int[];
UPDATE clinic.encounter SET doc = CASE encounter_id % 3 WHEN 0 THEN '{\"a\": {\"x\": 1}}' WHEN 1 THEN '{\"a\": 7}' ELSE '[1]' END::jsonb,
    codes = ARRAY[1, 2]::int[], place = ROW('CANARY street', 1), known = ROW('CANARY street', 1), places = ARRAY[ROW('s', 1)::clinic.place];
UPDATE clinic.encounter SET shown = doc, shown_codes = codes;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse;
";

/// What assigns a part of them: an error tells what the other part is.
const IN_PART: &[&str] = &[
    "UPDATE clinic.encounter SET @doc['a']['x'] = '1' WHERE encounter_id = @id",
    "UPDATE clinic.encounter e SET attending = 'x', @doc['none']['x'] = '1' FROM clinic.ward w WHERE e.encounter_id = @id AND w.ward_id = 1",
    "UPDATE clinic.encounter SET @doc[-2] = '1' WHERE encounter_id = @id RETURNING encounter_id",
    "UPDATE clinic.encounter SET @codes[:] = '{1,2,3}' WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET @codes[1][1] = 1 WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET @codes[2] = $$7$$ WHERE encounter_id = @id",
    "WITH u AS (UPDATE clinic.encounter SET @doc['a']['x'] = '1' WHERE encounter_id = @id RETURNING encounter_id) SELECT * FROM u",
    "INSERT INTO clinic.encounter AS e (encounter_id, patient_id, ward_id, kind, attending, admitted_at, complaint, charge) \
     VALUES (@id, @patient, 1, 'inpatient', 'x', now(), 'c', 1) ON CONFLICT (encounter_id) DO UPDATE SET @doc['a']['x'] = '1'",
    "INSERT INTO clinic.encounter AS e (encounter_id, patient_id, ward_id, kind, attending, admitted_at, complaint, charge) \
     VALUES (@id, @patient, 1, 'inpatient', 'x', now(), 'c', 1) ON CONFLICT (encounter_id) DO UPDATE SET attending = 'y', @codes[1][1] = 2",
    "MERGE INTO clinic.encounter e USING (VALUES (@id)) s (id) ON e.encounter_id = s.id WHEN MATCHED THEN UPDATE SET @doc['a']['x'] = '1'",
    "MERGE INTO clinic.encounter e USING (VALUES (@id)) s (id) ON e.encounter_id = s.id WHEN MATCHED THEN UPDATE SET attending = 'z', @codes[:] = '{1,2,3}'",
];

/// Of composite types, of which no column is shown here.
const FIELDS: &[&str] = &[
    "UPDATE clinic.encounter SET place.number = 5 WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET known.number = 5 WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET attending = 'x', known.number = 5 WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET (attending, known.number) = ('x', 5) WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET (attending, doc['a']) = ('x', '5') WHERE encounter_id = @id",
    "UPDATE clinic.encounter SET places[1].number = 5 WHERE encounter_id = @id",
    "INSERT INTO clinic.encounter AS e (encounter_id, patient_id, ward_id, kind, attending, admitted_at, complaint, charge) \
     VALUES (@id, @patient, 1, 'inpatient', 'x', now(), 'c', 1) ON CONFLICT (encounter_id) DO UPDATE SET known.number = 5",
    "MERGE INTO clinic.encounter e USING (VALUES (@id)) s (id) ON e.encounter_id = s.id WHEN MATCHED THEN UPDATE SET known.number = 5",
];

/// An assignment to a part of a masked column is a read of it; to one that is not masked it works.
#[test]
fn no_part_of_a_masked_column_is_assigned() {
    let (whole, _) = databases(PARTS);
    let masks = "\n[role.nurse.masks.\"clinic.encounter\"]\ndoc = \"redact\"\ncodes = \"redact\"\nplace = \"null\"\n\
                 known = \"null\"\nplaces = \"null\"\n";
    let entry = "name = \"clinic.encounter\"\nclass = \"visits\"\nkey = \"patient_id\"\n";
    let categories = "column_categories = { doc = \"PSY\", codes = \"PSY\", place = \"PSY\", known = \"PSY\", places = \"PSY\" }\n";
    let by_category = |text: String| {
        let text = replaced(hide(text), entry, &format!("{entry}{categories}"));
        replaced(text, "[role.nurse]\n", "[role.nurse]\ncategories = []\n")
    };
    let mine = "SELECT min(encounter_id) FROM clinic.encounter WHERE patient_id IN";
    let id = whole.server().psql(whole.name(), &format!("{mine} ({})", amys())).trim().to_owned();
    let patient = format!("SELECT patient_id FROM clinic.encounter WHERE encounter_id = {id}");
    let patient = whole.server().psql(whole.name(), &patient).trim().to_owned();
    let state = "SELECT md5(string_agg(e::text, ',' ORDER BY encounter_id)) FROM clinic.encounter e";
    let before = whole.server().psql(whole.name(), state);
    let filled = |sql: &str| sql.replace("@id", &id).replace("@patient", &patient);
    for by_mask in [true, false] {
        let proxy =
            Proxy::start_with(&whole, |text| if by_mask { hide(text) + masks } else { by_category(text) });
        let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
        let mut wrong = Vec::new();
        for sql in IN_PART
            .iter()
            .chain(FIELDS)
            .map(|sql| filled(&sql.replace("@doc", "doc").replace("@codes", "codes")))
        {
            for extended in [false, true] {
                let got = if extended { amy.extended(&sql, &[]) } else { amy.query(&sql) };
                if !got.failure().is_some_and(|f| f.message.starts_with("GLS-240")) {
                    wrong.push(format!("{sql}: {:?} {:?}", got.failure(), got.commands()));
                }
            }
        }
        assert!(wrong.is_empty(), "{} not refused:\n{}", wrong.len(), wrong.join("\n"));
        let told =
            amy.query(&filled("UPDATE clinic.encounter SET codes[1] = 7 WHERE encounter_id = @id")).failure();
        assert!(told.is_some_and(|f| {
            f.message.contains("assigns an element or field of a column masked for this role")
        }));
        assert_eq!(before, whole.server().psql(whole.name(), state));
        // The whole column, and parts of others: what the server says of them it says.
        amy.ok("BEGIN");
        assert_eq!(
            amy.ok(&filled("UPDATE clinic.encounter SET doc = '{}', codes = '{1}', known = ROW('x', 5) WHERE encounter_id = @id")).commands(),
            ["UPDATE 1"]
        );
        let inserted = "INSERT INTO clinic.encounter (encounter_id, patient_id, ward_id, kind, attending, admitted_at, complaint, charge, doc['a'], codes[1]) \
                        VALUES (-1, @patient, 1, 'inpatient', 'x', now(), 'c', 1, '1', 1)";
        assert_eq!(amy.ok(&filled(inserted)).commands(), ["INSERT 0 1"]);
        amy.ok("ROLLBACK");
        for sql in
            IN_PART.iter().map(|sql| filled(&sql.replace("@doc", "shown").replace("@codes", "shown_codes")))
        {
            amy.ok("BEGIN");
            let failed = amy.query(&sql).failure();
            assert!(failed.as_ref().is_none_or(|f| !f.message.starts_with("GLS-")), "{sql}: {failed:?}");
            amy.ok("ROLLBACK");
        }
        assert_no_canary(&amy);
    }
}
