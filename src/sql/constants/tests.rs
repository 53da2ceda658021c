//! Texts that are kept, and texts that are read anew.

use super::read_alike;
use crate::sql::fixture::Clinic;

fn alike(sql: &str) -> bool {
    let clinic = Clinic::new();
    read_alike(sql, &clinic.catalog, &clinic.namespace)
}

#[test]
fn what_is_common_and_fixed_is_kept() {
    for sql in [
        "SELECT name FROM patients WHERE mrn = 5",
        "SELECT name FROM patients WHERE mrn = '5' AND name LIKE 'A1%' AND ssn IN ('123', '45-6')",
        "SELECT name FROM patients WHERE mrn = ANY ('{1,2}') OR mrn = ANY ('{3,4}'::int8[])",
        "SELECT p.name FROM patients p JOIN orders o USING (mrn) WHERE o.code IN ('I10', 'E11.9') AND p.weight > '70'",
        "SELECT name FROM patients WHERE dob < '1950-01-01' AND dob BETWEEN '1940-01-01' AND date '1950-12-31'",
        "SELECT name FROM patients WHERE seen_at > now() - interval '30 days'",
        "SELECT name FROM patients WHERE seen_at > '2024-01-01 00:00:00+00'::timestamptz",
        "SELECT to_char(seen_at, 'HH24:MI'), date_trunc('day', seen_at), extract(year FROM dob) FROM patients",
        "SELECT seen_at AT TIME ZONE 'Etc/GMT+5' FROM patients WHERE seen_at AT TIME ZONE 'UTC' > '2024-01-01'",
        "SELECT doc ->> 'a1', doc -> 'b2', doc @> '{\"a\": 1}', doc #>> '{a,1}' FROM patients",
        "SELECT 'Ward 7' AS w, CASE WHEN mrn = 1 THEN 'Grade 1' ELSE 'Grade 2' END, coalesce(name, '0') FROM patients",
        "SELECT name || ' 1' || ssn, replace(name, '1', '2') FROM patients WHERE name ~ '^[A-Z]\\d+'",
        "SELECT mrn FROM patients WHERE sex = 'female' AND nick = 'bob'",
        "UPDATE patients SET name = 'x1', active = 'f', visits = visits + 1, dob = '2001-02-03' WHERE mrn = 7",
        "INSERT INTO notes (id, mrn, body) VALUES (1, 2, 'fell, no fracture')",
        "WITH q AS (SELECT mrn, ssn FROM patients) SELECT mrn FROM q WHERE ssn = '12'",
        "SELECT mrn FROM (SELECT p.mrn, CASE WHEN p.ssn = '1' THEN p.ssn ELSE '000'::text END AS ssn FROM patients p) s \
         WHERE ssn <> '12'",
        "SELECT count(*) FROM patients WHERE name IN ('a1', 'b2') AND dob IS NOT NULL",
        "SELECT mrn FROM patients WHERE dob < '4713-01-01 BC'::date AND seen_at < '4713-01-01 00:00:00+00 BC'::timestamptz",
    ] {
        assert!(alike(sql), "{sql}");
    }
}

#[test]
fn what_time_or_settings_make_of_a_text_is_not() {
    for sql in [
        "SELECT 'now'::timestamptz, mrn FROM patients",
        "SELECT timestamptz 'now', mrn FROM patients",
        "SELECT mrn FROM patients WHERE dob = 'today'",
        "SELECT mrn FROM patients WHERE dob = ' Yesterday '",
        "SELECT mrn FROM patients WHERE dob < coalesce(dob, 'tomorrow')",
        "SELECT mrn FROM patients WHERE seen_at > 'now'::timestamptz - interval '1 day'",
        "SELECT mrn FROM patients WHERE dob < '02/03/1950'",
        "SELECT mrn FROM patients WHERE dob IN ('02/03/1950')",
        "SELECT mrn FROM patients WHERE dob IN (dob, '02/03/1950')",
        "SELECT mrn FROM patients WHERE '02/03/1950' > dob",
        "SELECT mrn FROM patients WHERE dob BETWEEN '1950-01-01' AND '02/03/1950'",
        "SELECT mrn FROM patients WHERE dob = ANY ('{1950-01-01}')",
        "SELECT mrn FROM patients WHERE dob = ANY (ARRAY['02/03/1950']::date[])",
        "SELECT mrn FROM patients WHERE dob = ANY (ARRAY[dob, '02/03/1950'])",
        "SELECT mrn FROM patients WHERE NULLIF(dob, '02/03/1950') IS NULL",
        "SELECT mrn FROM patients WHERE CASE dob WHEN '02/03/1950' THEN true END",
        "SELECT CASE WHEN true THEN dob ELSE '02/03/1950' END FROM patients",
        "SELECT greatest(dob, '02/03/1950') FROM patients",
        "SELECT mrn FROM patients WHERE seen_at > '2024-01-01'",
        "SELECT mrn FROM patients WHERE seen_at > '2024-01-01 00:00:00'",
        "SELECT mrn FROM patients WHERE seen_at > ALL (SELECT '2024-01-01 00:00:00'::timestamptz)",
        "SELECT age('2024-01-01') FROM patients",
        "SELECT id FROM notes WHERE at AT TIME ZONE 'UTC' > '2024-01-01'",
        "SELECT mrn FROM patients WHERE seen_at AT TIME ZONE 'UTC' > '01/02/2024'",
        "SELECT date_trunc('day', '2024-01-01 00:00') FROM patients",
        "SELECT dob FROM patients UNION SELECT '02/03/1950'",
        "INSERT INTO notes (id, at) SELECT 1, '02/03/1950'",
        "INSERT INTO notes (id, at) VALUES (1, '02/03/1950')",
        "UPDATE notes SET at = 'now' WHERE id = 1",
        "UPDATE notes SET at = '02/03/1950' WHERE id = 1",
        "UPDATE notes SET (body, at) = ('x', '02/03/1950') WHERE id = 1",
        "UPDATE notes SET body = CASE WHEN at = '02/03/1950' THEN 'x1' END WHERE id = 1",
        "UPDATE patients SET doc['a'] = '02/03/1950' WHERE mrn = 1",
        "SELECT mrn FROM patients WHERE seen_at - at > interval '-1 2:03:04'",
        "SELECT mrn FROM patients WHERE mrn = ANY ('{1,NULL}')",
        "SELECT mrn FROM patients WHERE name = ANY ('{a,null}'::text[])",
        "SELECT 'x<b/>'::xml, mrn FROM patients",
        "SELECT 'x'::xml, mrn FROM patients",
        "SELECT '1.50'::money, mrn FROM patients",
        "SELECT '[2024-01-01,2024-02-01)'::tstzrange, mrn FROM patients",
        "SELECT '10:00'::timetz, 'today'::date, mrn FROM patients",
        "SELECT mrn FROM patients WHERE ssn = NULL",
        "SELECT mrn FROM patients WHERE nick = '02/03/1950'",
        "SELECT mrn FROM (SELECT mrn, dob AS ssn FROM patients) s WHERE ssn < '02/03/1950'",
        "SELECT mrn FROM (SELECT mrn, dob FROM patients) s (mrn, ssn) WHERE ssn < '02/03/1950'",
        "SELECT mrn FROM (SELECT mrn, ssn::date FROM patients) s WHERE ssn < '02/03/1950'",
        "SELECT mrn FROM (SELECT mrn, ssn AS dob, dob AS ssn FROM patients) s WHERE ssn < '02/03/1950'",
        "SELECT 1 FROM patients, (VALUES (date '2024-01-01')) v WHERE column1 < '02/03/1950'",
        "SELECT mrn FROM (SELECT mrn, dob AS a, ssn FROM patients) s, LATERAL (SELECT a AS ssn) t WHERE t.ssn < '02/03/1950'",
        "WITH q (ssn) AS (SELECT dob FROM patients) SELECT 1 FROM q WHERE ssn < '02/03/1950'",
        "SELECT mrn FROM patients, jsonb_to_recordset('[]') AS x (name date) WHERE x.name < '02/03/1950'",
        "SELECT mrn FROM patients WHERE fmt(name) = '02/03/1950'",
        "SELECT lower('[today,)'::daterange), mrn FROM patients",
        "SELECT 1; SELECT 2",
        "SELECT (",
    ] {
        assert!(!alike(sql), "{sql}");
    }
}

#[test]
fn masks_are() {
    use crate::policy::{Mask, MaskOf, mask_expression, zip3_small};
    let clinic = Clinic::new();
    let patients = clinic.catalog.relation(1).unwrap();
    let masks = [
        Mask::Null,
        Mask::Redact { text: "***".into() },
        Mask::Withhold { text: "[withheld, 42 CFR 2]".into() },
        Mask::Partial { keep_last: 2 },
        Mask::Zip3 { small: zip3_small() },
        Mask::Year,
        Mask::Age90,
        Mask::BirthYear,
    ];
    for column in &patients.columns {
        for mask in &masks {
            let masked = mask_expression(column, "p", mask, MaskOf::Rows);
            let sql = format!(
                "SELECT s.* FROM (SELECT p.mrn, {masked} AS \"{}\" FROM public.patients p) s WHERE mrn = 1",
                column.name
            );
            assert!(alike(&sql), "{sql}");
        }
    }
}

#[test]
fn operators_of_extensions() {
    let mut clinic = Clinic::new();
    clinic.catalog.foreign_operators.extend(["=", "~~", "||"].map(str::to_owned));
    for (sql, kept) in [
        ("SELECT mrn FROM patients WHERE ssn = '1' OR ssn IN ('1', '2') OR ssn LIKE 'A1%'", true),
        ("SELECT mrn FROM patients WHERE nick = 'bob'", true),
        ("SELECT mrn FROM patients WHERE nick = '1'", false),
        ("SELECT mrn FROM patients WHERE nick LIKE '1%'", false),
        ("SELECT mrn FROM patients WHERE ssn || '1' IS NULL", false),
        ("SELECT mrn FROM patients WHERE ssn OPERATOR(public.=) '1'", false),
        ("SELECT mrn FROM patients WHERE dob = '02/03/1950'", false),
    ] {
        assert_eq!(read_alike(sql, &clinic.catalog, &clinic.namespace), kept, "{sql}");
    }
}
