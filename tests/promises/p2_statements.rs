//! The statements of `p2_enforcement`: what a nurse's tools ask for, and shapes in which a filter at
//! the wrong place shows. `nurse_amy` has the patients 880003, 880015 ... 880291. An ORDER BY in the
//! text makes the order of rows part of the comparison.

/// Read statements that must work.
pub(crate) const READS: &[&str] = &[
    // Plain reads of every table.
    "SELECT * FROM clinic.patient ORDER BY patient_id",
    "SELECT * FROM clinic.encounter",
    "SELECT * FROM clinic.bed_assignment",
    "SELECT * FROM clinic.appointment",
    "SELECT * FROM clinic.care_team",
    "SELECT * FROM clinic.problem",
    "SELECT * FROM clinic.allergy",
    "SELECT * FROM clinic.lab_order",
    "SELECT * FROM clinic.lab_result",
    "SELECT * FROM clinic.medication_order",
    "SELECT * FROM clinic.current_medication",
    "SELECT * FROM clinic.note",
    "TABLE clinic.patient",
    // Lookups, of hers, of others', of nobody.
    "SELECT name, ssn FROM clinic.patient WHERE patient_id = 880003",
    "SELECT name, ssn FROM clinic.patient WHERE patient_id = 880001",
    "SELECT name, ssn FROM clinic.patient WHERE patient_id = 1",
    "SELECT * FROM clinic.note WHERE patient_id IN (880001, 880003, 880015) ORDER BY note_id",
    "SELECT name FROM clinic.patient WHERE mrn = 'MRN0000001'",
    "SELECT name FROM clinic.patient WHERE name LIKE 'CANARY%'",
    "SELECT patient_id FROM clinic.patient WHERE patient_id BETWEEN 880000 AND 880100 ORDER BY 1",
    // Counts and aggregates.
    "SELECT count(*) FROM clinic.patient",
    "SELECT count(*), count(ssn), min(birth_date), max(birth_date) FROM clinic.patient",
    "SELECT sex, count(*) FROM clinic.patient GROUP BY sex ORDER BY sex",
    "SELECT icd10, count(DISTINCT patient_id) FROM clinic.problem GROUP BY icd10 HAVING count(*) > 2 ORDER BY icd10",
    "SELECT avg(value), sum(value) FROM clinic.lab_result WHERE analyte = 'potassium'",
    "SELECT count(*) FILTER (WHERE status = 'active') FROM clinic.medication_order",
    "SELECT ward_id, kind, count(*) FROM clinic.encounter GROUP BY ROLLUP (ward_id, kind) ORDER BY 1, 2",
    "SELECT kind, count(*) FROM clinic.encounter GROUP BY ROLLUP (kind, (SELECT max(ward_id) FROM clinic.ward)) ORDER BY 1, 2",
    "SELECT kind, count(*) FROM clinic.encounter GROUP BY CUBE (kind, (SELECT max(patient_id) FROM clinic.patient)) ORDER BY 1, 2",
    "SELECT kind, count(*) FROM clinic.encounter x GROUP BY DISTINCT ROLLUP (kind, (SELECT max(w.name) FROM clinic.ward w \
     WHERE w.ward_id = x.ward_id)) ORDER BY 1, 2",
    "SELECT kind, count(*) FROM clinic.encounter GROUP BY ROLLUP (kind, (admitted_at, admitted_at) OVERLAPS (admitted_at, \
     discharged_at)) ORDER BY 1, 2",
    "SELECT kind, count(*) FROM clinic.encounter GROUP BY CUBE ((ward_id + 1) * 2, (kind, ward_id)) ORDER BY 1, 2",
    "SELECT kind, count(*) FROM clinic.encounter GROUP BY GROUPING SETS (kind, (SELECT max(ward_id) FROM clinic.ward), ()) \
     ORDER BY 1, 2",
    // Columns without a name in the text, or of a named join, where a query around has one of that name and another type.
    "SELECT 1 FROM (VALUES (1)) v (zip) WHERE NOT EXISTS (SELECT 1 FROM (SELECT zip::text FROM clinic.patient) s \
     WHERE zip::int8 < 0)",
    "SELECT 1 FROM (VALUES (1)) v (lower) WHERE NOT EXISTS (SELECT 1 FROM (SELECT lower(zip) FROM clinic.patient) s \
     WHERE lower::int8 < 0)",
    "SELECT 1 FROM (VALUES (1)) v (zip) WHERE NOT EXISTS (SELECT 1 FROM (SELECT (SELECT zip) FROM clinic.patient) s \
     WHERE zip::int8 < 0)",
    "SELECT 1 FROM (VALUES (1)) v (zip) WHERE NOT EXISTS (SELECT 1 FROM ((SELECT zip FROM clinic.patient) s \
     JOIN (VALUES (1)) w (x) ON true) AS v WHERE v.zip::int8 < 0)",
    "SELECT 1 FROM ((SELECT zip FROM clinic.patient) s JOIN (VALUES (1)) w (x) ON true) AS j (x, y) WHERE x::int8 < 0",
    "SELECT string_agg(name, ',' ORDER BY name) FROM clinic.patient",
    "SELECT array_agg(patient_id ORDER BY patient_id) FROM clinic.patient",
    "SELECT DISTINCT zip FROM clinic.patient ORDER BY zip",
    "SELECT DISTINCT ON (patient_id) patient_id, note_id FROM clinic.note ORDER BY patient_id, note_id DESC",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY charge) FROM clinic.encounter",
    // Joins, the outer ones from either side.
    "SELECT p.name, n.note_id FROM clinic.patient p JOIN clinic.note n USING (patient_id) ORDER BY n.note_id",
    "SELECT w.name, p.name FROM clinic.ward w LEFT JOIN clinic.bed_assignment b ON b.ward_id = w.ward_id \
     LEFT JOIN clinic.patient p ON p.patient_id = b.patient_id ORDER BY 1, 2",
    "SELECT w.ward_id, count(b.patient_id) FROM clinic.ward w LEFT JOIN clinic.bed_assignment b USING (ward_id) \
     GROUP BY w.ward_id ORDER BY 1",
    "SELECT d.name FROM clinic.drug d LEFT JOIN clinic.medication_order m USING (drug_id) WHERE m.drug_id IS NULL ORDER BY 1",
    "SELECT p.patient_id, a.substance FROM clinic.allergy a RIGHT JOIN clinic.patient p USING (patient_id) ORDER BY 1, 2",
    "SELECT p.patient_id, a.allergy_id FROM clinic.patient p FULL JOIN clinic.allergy a USING (patient_id) ORDER BY 1, 2",
    "SELECT w.ward_id, e.encounter_id FROM clinic.ward w FULL JOIN clinic.encounter e ON e.ward_id = w.ward_id AND e.kind = 'emergency' ORDER BY 1, 2",
    "SELECT r.analyte, r.value FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id) WHERE o.panel = 'coagulation' ORDER BY r.result_id",
    "SELECT count(*) FROM clinic.patient a, clinic.patient b WHERE a.birth_date < b.birth_date",
    "SELECT p.patient_id, x.note_id FROM clinic.patient p CROSS JOIN LATERAL \
     (SELECT note_id FROM clinic.note n WHERE n.patient_id = p.patient_id ORDER BY note_id LIMIT 1) x ORDER BY 1",
    "SELECT * FROM clinic.patient NATURAL JOIN clinic.care_team ORDER BY patient_id, member",
    // Subqueries.
    "SELECT patient_id FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.allergy a WHERE a.patient_id = p.patient_id) ORDER BY 1",
    "SELECT patient_id FROM clinic.patient p WHERE NOT EXISTS (SELECT FROM clinic.allergy a WHERE a.patient_id = p.patient_id) ORDER BY 1",
    "SELECT drug_id FROM clinic.drug WHERE drug_id NOT IN (SELECT drug_id FROM clinic.medication_order) ORDER BY 1",
    "SELECT name FROM clinic.ward WHERE ward_id IN (SELECT ward_id FROM clinic.encounter WHERE kind = 'emergency') ORDER BY 1",
    "SELECT patient_id, (SELECT count(*) FROM clinic.note n WHERE n.patient_id = p.patient_id) FROM clinic.patient p ORDER BY 1",
    "SELECT name FROM clinic.patient WHERE birth_date = (SELECT max(birth_date) FROM clinic.patient)",
    // Aggregates that belong to the query around the one in which they stand.
    "SELECT (SELECT max(e.charge)) FROM clinic.encounter e",
    "SELECT (SELECT count(e.encounter_id) FROM clinic.ward w WHERE w.ward_id = 1) FROM clinic.encounter e",
    "SELECT kind, (SELECT max(e.charge) + min(w.floor) FROM clinic.ward w) FROM clinic.encounter e GROUP BY kind ORDER BY 1",
    "SELECT kind FROM clinic.encounter e GROUP BY kind HAVING (SELECT max(charge) > 9 FROM (VALUES (1)) v (x)) ORDER BY 1",
    "SELECT x.most FROM (SELECT (SELECT max(patient_id) FROM clinic.ward w WHERE w.ward_id = 1) AS most FROM clinic.patient) x",
    "SELECT (SELECT q.n FROM (SELECT count(p.ssn) AS n) q) FROM clinic.patient p WHERE patient_id = 880003",
    "SELECT (SELECT count(*) FROM clinic.ward w WHERE w.ward_id = e.ward_id), (SELECT max(name) FROM clinic.ward w) FROM clinic.encounter e",
    // Aggregates of the query around, which inside are constants: what is made of them may be computed on any row.
    // 880001 is a patient of others.
    "SELECT ARRAY(SELECT i.patient_id FROM clinic.patient i GROUP BY i.patient_id HAVING max(w.ward_id) / (i.patient_id - 880001) >= 0 \
     ORDER BY 1) FROM clinic.ward w",
    "SELECT (SELECT count(*) FROM (SELECT max(w.ward_id) / (i.patient_id - 880001) AS x FROM clinic.patient i) q \
     WHERE q.x IS NOT NULL) FROM clinic.ward w",
    "SELECT ARRAY(SELECT i.patient_id FROM clinic.patient i WHERE i.patient_id = 880001 AND i.patient_id = (SELECT max(w.ward_id) \
     FROM clinic.drug d)) FROM clinic.ward w",
    // Subqueries of more than one row fail, if they are looked at; 880001 is a patient of others.
    "SELECT count(*) FROM clinic.patient p WHERE p.patient_id = 880001 AND (SELECT p.patient_id UNION SELECT ward_id FROM clinic.ward) IS NOT NULL",
    "SELECT count(*) FROM clinic.patient p WHERE p.patient_id = 880001 AND (VALUES (p.patient_id), (1)) IS NOT NULL",
    "SELECT count(*) FROM clinic.patient p WHERE p.patient_id = 880001 AND (SELECT p.sex FROM clinic.ward ORDER BY 1 \
     FETCH FIRST ROW WITH TIES) IS NOT NULL",
    "SELECT EXISTS (SELECT FROM clinic.patient WHERE patient_id = 880001)",
    "SELECT EXISTS (SELECT FROM clinic.patient WHERE patient_id = 880003)",
    "SELECT ARRAY(SELECT patient_id FROM clinic.patient ORDER BY patient_id LIMIT 5)",
    "SELECT name FROM clinic.drug d WHERE d.drug_id = ANY (SELECT drug_id FROM clinic.medication_order) ORDER BY 1",
    "SELECT count(*) FROM (SELECT patient_id FROM clinic.patient ORDER BY patient_id LIMIT 10 OFFSET 20) x",
    // Common table expressions and set operations.
    "WITH p AS (SELECT * FROM clinic.patient) SELECT count(*) FROM p",
    "WITH p AS MATERIALIZED (SELECT patient_id, name FROM clinic.patient) SELECT name FROM p ORDER BY name",
    "SELECT patient_id FROM clinic.patient UNION SELECT patient_id FROM clinic.note ORDER BY 1",
    "SELECT patient_id FROM clinic.patient UNION ALL SELECT ward_id FROM clinic.ward ORDER BY 1",
    "SELECT patient_id FROM clinic.patient EXCEPT SELECT patient_id FROM clinic.allergy ORDER BY 1",
    "SELECT ward_id FROM clinic.ward EXCEPT SELECT ward_id FROM clinic.encounter ORDER BY 1",
    "SELECT patient_id FROM clinic.patient INTERSECT SELECT patient_id FROM clinic.allergy ORDER BY 1",
    // Windows, order, limits.
    "SELECT patient_id, rank() OVER (ORDER BY birth_date) FROM clinic.patient ORDER BY 2, 1",
    "SELECT note_id, row_number() OVER (PARTITION BY patient_id ORDER BY note_id) FROM clinic.note ORDER BY 1",
    "SELECT * FROM (SELECT patient_id, rank() OVER (ORDER BY birth_date) AS r FROM clinic.patient) x WHERE r <= 3 ORDER BY 1",
    "SELECT encounter_id, lag(encounter_id) OVER (ORDER BY encounter_id) FROM clinic.encounter ORDER BY 1",
    "SELECT patient_id FROM clinic.patient ORDER BY birth_date, patient_id LIMIT 5",
    "SELECT patient_id FROM clinic.patient ORDER BY birth_date DESC, patient_id OFFSET 20",
    "SELECT ward_id FROM clinic.encounter ORDER BY ward_id FETCH FIRST 3 ROWS WITH TIES",
    // Expressions that run on rows; whole rows, system columns.
    "SELECT p FROM clinic.patient p ORDER BY patient_id",
    "SELECT row_to_json(p) FROM clinic.patient p ORDER BY patient_id",
    "SELECT count(p) FROM clinic.patient p",
    "SELECT (p).name FROM clinic.patient p ORDER BY 1",
    "SELECT 1 / (CASE WHEN name LIKE 'CANARY%' THEN 0 ELSE 1 END) FROM clinic.patient",
    "SELECT patient_id FROM clinic.patient WHERE 1 / (CASE WHEN name LIKE 'CANARY%' THEN 0 ELSE 1 END) = 1 ORDER BY 1",
    "SELECT w.ward_id FROM clinic.ward w LEFT JOIN clinic.encounter e ON e.ward_id = w.ward_id \
     AND 1 / (CASE WHEN e.complaint LIKE 'CANARY%' THEN 0 ELSE 1 END) = 1 WHERE e.encounter_id IS NULL ORDER BY 1",
    "SELECT patient_id, CASE WHEN sex = 'F' THEN upper(name) ELSE lower(name) END FROM clinic.patient ORDER BY 1",
    "SELECT coalesce(ssn, 'none'), extract(year FROM birth_date) FROM clinic.patient ORDER BY 1, 2",
    "SELECT substr(name, 1, 3) || '...' AS n FROM clinic.patient ORDER BY n COLLATE \"C\"",
    // Errors: of her own rows, and of the statement.
    "SELECT 1 / (CASE WHEN patient_id = 880003 THEN 0 ELSE 1 END) FROM clinic.patient",
    "SELECT name::int FROM clinic.patient",
    "SELECT nothing FROM clinic.patient",
    "SELECT * FROM clinic.patient WHERE patient_id = 'x'",
    "SELECT (SELECT name FROM clinic.patient)",
    // Forms that the rewriter has no words of its own for.
    "SELECT name FROM ONLY clinic.patient ORDER BY name",
    "SELECT name, sum(patient_id) OVER (ORDER BY patient_id ROWS 2 PRECEDING EXCLUDE TIES) FROM clinic.patient ORDER BY patient_id",
    "SELECT count(*) FROM clinic.patient GROUP BY GROUPING SETS (ROLLUP (sex, zip), CUBE (sex)) ORDER BY 1",
    "WITH RECURSIVE r(n) AS (SELECT min(patient_id) FROM clinic.patient UNION ALL \
     SELECT (SELECT min(patient_id) FROM clinic.patient WHERE patient_id > r.n) FROM r WHERE r.n IS NOT NULL) SELECT n FROM r",
    "WITH x AS (SELECT patient_id, count(*) AS n FROM clinic.note GROUP BY 1 HAVING count(*) > 2) SELECT * FROM x ORDER BY 1",
    "SELECT * FROM (WITH x AS (SELECT patient_id FROM clinic.allergy) SELECT patient_id FROM clinic.patient EXCEPT SELECT * FROM x) y ORDER BY 1",
    "WITH x AS (SELECT patient_id FROM clinic.patient) SELECT count(*) FROM x a, x b",
    // Joins inside one fence.
    "SELECT p.name, n.note_id FROM clinic.patient p JOIN clinic.note n ON n.patient_id = p.patient_id \
     WHERE p.mrn = 'MRN0000001' AND 1 / (CASE WHEN n.body LIKE 'CANARY%' THEN 0 ELSE 1 END) = 1 ORDER BY 2",
    "SELECT * FROM clinic.patient p, clinic.note n WHERE n.patient_id = p.patient_id AND length(n.body) / p.patient_id >= 0 ORDER BY note_id",
    // Nothing of a patient in it.
    "SELECT * FROM clinic.ward ORDER BY 1",
    "SELECT count(*) FROM clinic.drug",
];

/// Ordinary reads that this version refuses (GLS-240) although they can be guarded.
pub(crate) const REFUSED: &[&str] = &["SELECT tableoid::regclass, patient_id FROM clinic.patient ORDER BY 2"];

/// Statements with text parameters.
pub(crate) const BOUND: &[(&str, &[&str])] = &[
    ("SELECT name FROM clinic.patient WHERE patient_id = $1", &["880003"]),
    ("SELECT name FROM clinic.patient WHERE patient_id = $1", &["880001"]),
    ("SELECT count(*) FROM clinic.note WHERE body LIKE $1", &["%pain%"]),
    ("SELECT count(*) FROM clinic.note WHERE body LIKE $1 || '%'", &["CANARY"]),
    (
        "SELECT patient_id FROM clinic.patient WHERE patient_id = ANY ($1::int8[]) ORDER BY 1",
        &["{880001,880003,880015}"],
    ),
    (
        "SELECT $1::text, count(*) FROM clinic.lab_order WHERE ordered_at < $2::timestamptz",
        &["x", "2025-06-15"],
    ),
    (
        "SELECT w.ward_id, count(e.*) FROM clinic.ward w LEFT JOIN clinic.encounter e ON e.ward_id = w.ward_id AND e.kind = $1 GROUP BY 1 ORDER BY 1",
        &["inpatient"],
    ),
    ("SELECT patient_id FROM clinic.patient ORDER BY patient_id LIMIT $1 OFFSET $2", &["3", "22"]),
    ("SELECT 10 / (patient_id - $1) FROM clinic.patient", &["880001"]),
    ("SELECT 10 / (patient_id - $1) FROM clinic.patient", &["880003"]),
];

/// Changes, each run in a transaction that is rolled back; the statement after it shows the effect.
pub(crate) const CHANGES: &[(&str, &str)] = &[
    (
        "UPDATE clinic.problem SET status = 'resolved'",
        "SELECT count(*) FROM clinic.problem WHERE status = 'resolved'",
    ),
    (
        "UPDATE clinic.problem SET title = 'x' WHERE patient_id = 880001",
        "SELECT count(*) FROM clinic.problem WHERE title = 'x'",
    ),
    (
        "UPDATE clinic.problem SET title = 'x' WHERE patient_id = 880003 RETURNING problem_id, title",
        "SELECT count(*) FROM clinic.problem WHERE title = 'x'",
    ),
    ("DELETE FROM clinic.allergy", "SELECT count(*) FROM clinic.allergy"),
    (
        "DELETE FROM clinic.allergy WHERE severity = 'mild' RETURNING allergy_id",
        "SELECT count(*) FROM clinic.allergy",
    ),
    ("DELETE FROM clinic.lab_result WHERE flag = 'H'", "SELECT count(*) FROM clinic.lab_result"),
    (
        "UPDATE clinic.medication_order m SET dose = m.dose * 2 FROM clinic.drug d WHERE d.drug_id = m.drug_id AND d.high_risk",
        "SELECT sum(dose) FROM clinic.medication_order",
    ),
    (
        "INSERT INTO clinic.note (patient_id, author, kind, written_at, body) VALUES (880003, 'nurse_amy', 'nursing', now(), 'seen')",
        "SELECT count(*) FROM clinic.note WHERE body = 'seen'",
    ),
    (
        "INSERT INTO clinic.problem VALUES (900100, 880003, 'X', 'new', NULL, 'active') ON CONFLICT (problem_id) DO NOTHING",
        "SELECT count(*) FROM clinic.problem WHERE title = 'new'",
    ),
    (
        "INSERT INTO clinic.problem SELECT * FROM clinic.problem WHERE patient_id = 880003 ON CONFLICT DO NOTHING",
        "SELECT count(*) FROM clinic.problem",
    ),
    (
        "INSERT INTO clinic.problem AS p SELECT * FROM clinic.problem ON CONFLICT (problem_id) DO UPDATE SET title = excluded.title || '!' WHERE p.status = 'active' RETURNING problem_id, title",
        "SELECT count(*) FROM clinic.problem WHERE title LIKE '%!'",
    ),
    (
        "DELETE FROM clinic.allergy a WHERE NOT EXISTS (SELECT 1 FROM clinic.problem p WHERE p.patient_id = a.patient_id AND p.status = 'active')",
        "SELECT count(*) FROM clinic.allergy",
    ),
    (
        "UPDATE clinic.problem SET title = (SELECT count(*)::text FROM clinic.patient) WHERE 10 / (patient_id - 880001) >= 0 RETURNING problem_id AS p, title",
        "SELECT count(*) FROM clinic.problem WHERE title = '25'",
    ),
    (
        "WITH d AS (DELETE FROM clinic.allergy RETURNING *) SELECT count(*), min(patient_id) FROM d",
        "SELECT count(*) FROM clinic.allergy",
    ),
    (
        "WITH d AS (DELETE FROM clinic.allergy WHERE severity = 'mild' RETURNING allergy_id, patient_id) SELECT d.* FROM d ORDER BY 1",
        "SELECT count(*) FROM clinic.allergy",
    ),
    (
        "WITH d AS (DELETE FROM clinic.allergy), i AS (INSERT INTO clinic.problem VALUES (900101, 880003, 'X', 'new', NULL, 'active') RETURNING patient_id) UPDATE clinic.problem SET title = 'both' WHERE patient_id IN (SELECT patient_id FROM i)",
        "SELECT (SELECT count(*) FROM clinic.allergy), count(*) FROM clinic.problem WHERE title IN ('both', 'new')",
    ),
    (
        "UPDATE clinic.problem SET patient_id = 880003",
        "SELECT count(*) FROM clinic.problem WHERE patient_id = 880003",
    ),
    (
        "SELECT patient_id, name FROM clinic.patient WHERE 10 / (patient_id - 880001) >= 0 ORDER BY 1 FOR UPDATE",
        "SELECT 1",
    ),
    (
        "SELECT p.name, 10 / (p.patient_id - 880001) AS x FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.encounter e WHERE e.patient_id = p.patient_id) FOR UPDATE",
        "SELECT 1",
    ),
    (
        "SELECT e.encounter_id, e.patient_id / (e.patient_id - 880001) FROM clinic.encounter e WHERE e.patient_id IN (SELECT p.patient_id FROM clinic.patient p WHERE p.sex = 'F') FOR UPDATE SKIP LOCKED",
        "SELECT 1",
    ),
    (
        "SELECT e.encounter_id, to_char(now(), 'YYYY')::int > 2000 FROM clinic.encounter e WHERE e.patient_id > (SELECT p.patient_id FROM clinic.patient p WHERE p.patient_id = 880015) FOR SHARE",
        "SELECT 1",
    ),
    (
        "SELECT p.name, 10 / (p.patient_id - 880001) FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.note n WHERE n.patient_id = p.patient_id AND 10 / (n.patient_id - 880001) >= 0) AND 7 / (p.patient_id - 880001) >= 0 ORDER BY p.patient_id FOR NO KEY UPDATE OF p",
        "SELECT 1",
    ),
    (
        "WITH q AS (SELECT p.patient_id, 10 / (p.patient_id - 880001) AS x FROM clinic.patient p FOR UPDATE SKIP LOCKED) SELECT * FROM q WHERE x = 0 ORDER BY 1",
        "SELECT 1",
    ),
    (
        "WITH q AS (SELECT p.patient_id, 10 / (p.patient_id - 880001) AS x FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.note n WHERE n.patient_id = p.patient_id) FOR UPDATE) SELECT count(*) FROM q WHERE x = 0",
        "SELECT 1",
    ),
    (
        "SELECT count(*) FROM (SELECT 10 / (p.patient_id - 880001) AS x FROM clinic.patient p WHERE EXISTS (SELECT FROM clinic.note n WHERE n.patient_id = p.patient_id) FOR UPDATE) q",
        "SELECT 1",
    ),
    (
        "SELECT q.x FROM (SELECT 10 / (p.patient_id - 880001) AS x FROM clinic.patient p FOR UPDATE) q WHERE q.x > -1",
        "SELECT 1",
    ),
    (
        "SELECT patient_id, name FROM clinic.patient ORDER BY 1 LIMIT 3 FOR NO KEY UPDATE SKIP LOCKED",
        "SELECT 1",
    ),
];
