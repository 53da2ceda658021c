//! Masked relations in their masked form, rows outside, and groups of few patients.

use super::*;
use crate::policy::{Alternative, KeyPath, Path, Step};

fn masked(shape: DerivedShape<'_>) -> String {
    let clinic = Clinic::masked();
    let relation = &clinic.catalog.relations[&1];
    let own = clinic.role.masks.values().flatten().map(|(c, m)| (c.as_str(), m)).collect();
    let masks = TableMasks { own, outside: None, owners: vec!["mrn"] };
    derived_table(&clinic.bound.policy, &clinic.bound.tables[&1], relation, &masks, "__glass_r1", shape)
}

#[test]
fn masked_relations_occur_only_in_their_masked_form() {
    let clinic = Clinic::masked();
    let filter = Some(GuardParams::after(3, Variant::Assigned));
    for fence in [false, true] {
        for witness in [None, Some("__glass_k1")] {
            let t = masked(DerivedShape { filter, fence, witness, ..DerivedShape::default() });
            all(Seen::Pass, &clinic, &[&format!("SELECT p.ssn FROM {t} AS p WHERE p.ssn = 'x'")]);
        }
    }
    let good = masked(DerivedShape { filter, ..DerivedShape::default() });
    let dob = clinic.catalog.relations[&1].column("dob").unwrap();
    let returned = format!(
        "UPDATE patients p SET name = 'x' WHERE {{patients p}} RETURNING {} AS dob",
        crate::policy::mask_expression(dob, "p", &Mask::Year, crate::policy::MaskOf::Rows)
    );
    let unfiltered = masked(DerivedShape::default());
    all(
        Seen::Fail,
        &clinic,
        &[
            "SELECT name FROM patients p WHERE {patients p}",
            &format!("SELECT ssn FROM {unfiltered} AS p"),
            &format!("SELECT ssn FROM {} AS p", good.replace("'***'", "'**'")),
            &format!(
                "SELECT ssn FROM {} AS p",
                good.replace("'***'::pg_catalog.text", "\"__glass_r1\".\"ssn\"")
            ),
            &format!("SELECT ssn FROM {} AS p", good.replace("$4", "$3")),
            &format!(
                "SELECT ssn FROM {} AS p",
                good.replacen("SELECT ", "SELECT \"__glass_r1\".\"ssn\" AS x, ", 1)
            ),
            "UPDATE patients p SET name = ssn WHERE {patients p}",
            "UPDATE patients p SET name = 'x' WHERE ssn = '1' AND {patients p}",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING *",
            &format!("INSERT INTO ward (name) SELECT p.ssn FROM {good} AS p"),
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING p",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING to_jsonb(p)",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING (p).ssn",
            "DELETE FROM patients p WHERE {patients p} RETURNING dob",
            "INSERT INTO patients (mrn) VALUES (1) RETURNING ssn, {new patients patients} AS __glass_c1",
        ],
    );
    all(
        Seen::Pass,
        &clinic,
        &[
            "UPDATE patients p SET name = 'x', ssn = $1 WHERE p.mrn = 1 AND {patients p} RETURNING p.name",
            "INSERT INTO patients (mrn, ssn) VALUES (1, $1) RETURNING mrn, {new patients patients} AS __glass_c1",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING '***'::pg_catalog.text AS ssn",
            &returned,
        ],
    );
    all(
        Seen::Fail,
        &clinic,
        &[
            &returned.replace("date_trunc('year'", "date_trunc('day'"),
            &returned.replace("\"p\".\"dob\"", "\"dob\""),
            &returned.replace("SET name = 'x'", "SET name = 'x', visits = dob - dob"),
        ],
    );
}

/// Notes and the ward have columns of the names of masked ones here, `ssn` and `dob`.
#[test]
fn a_written_relation_is_named_by_its_own_name_alone() {
    let clinic = Clinic::masked();
    let params = Some(GuardParams::after(3, Variant::Assigned));
    let fenced = masked(DerivedShape { filter: params, fence: true, ..DerivedShape::default() });
    let update = "UPDATE patients p SET name = 'x'";
    let ward = "(SELECT w.name AS ssn, w.id AS p FROM ward w OFFSET 0) AS w";
    all(
        Seen::Pass,
        &clinic,
        &[
            &format!(
                "{update} FROM {ward} WHERE w.ssn = 'x' AND w.p = 1 AND {{patients p}} RETURNING w.ssn, w.*"
            ),
            &format!("{update} FROM {fenced} AS o WHERE o.ssn = 'x' AND {{patients p}}"),
            &format!("{update} WHERE EXISTS (SELECT * FROM {ward} WHERE w.ssn = 'x') AND {{patients p}}"),
            &format!("{update} WHERE EXISTS (SELECT FROM ward w NATURAL JOIN ward v) AND {{patients p}}"),
            &format!(
                "WITH o AS (SELECT ssn, * FROM {fenced} AS p) {update} FROM o WHERE o.ssn = 'x' AND {{patients p}}"
            ),
            &format!(
                "DELETE FROM patients p USING {ward} WHERE w.ssn = 'x' AND p.visits = 1 AND {{patients p}}"
            ),
            "UPDATE patients SET name = public.ward.name FROM ward WHERE public.ward.id = 1 AND {patients patients}",
            "UPDATE patients p SET name = new.name FROM ward new WHERE new.id = 1 AND {patients p}",
            "SELECT p.name, w.ssn FROM patients p, (SELECT name AS ssn FROM ward) w WHERE {patients p} FOR UPDATE OF p",
        ],
    );
    all(
        Seen::Fail,
        &clinic,
        &[
            &format!("{update} FROM {ward} WHERE w.ssn = p.ssn AND {{patients p}}"),
            &format!("{update} FROM {ward} WHERE w.ssn = ssn AND {{patients p}}"),
            &format!("{update} FROM {ward} WHERE EXISTS (SELECT ssn) AND {{patients p}}"),
            &format!("{update} FROM {ward} WHERE EXISTS (SELECT p.*) AND {{patients p}}"),
            &format!("{update} FROM {ward} WHERE EXISTS (SELECT public.p.*) AND {{patients p}}"),
            &format!(
                "{update} FROM {ward} WHERE (SELECT w.ssn FROM ward v JOIN ward x ON p.ssn = 'x') = 'x' AND {{patients p}}"
            ),
            &format!("{update} FROM {ward} WHERE {{patients p}} RETURNING *"),
            &format!("{update} FROM {ward} WHERE {{patients p}} RETURNING w.*, p.*"),
            // A function of the row, written like a column.
            "UPDATE patients p SET name = p.fmt WHERE {patients p}",
            "UPDATE patients SET name = public.patients.fmt WHERE {patients patients}",
            "UPDATE patients p SET name = 'x' WHERE p.to_jsonb IS NOT NULL AND {patients p}",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING (SELECT p.row_to_json)",
            "SELECT p.to_jsonb FROM patients p WHERE {patients p} FOR UPDATE OF p",
            "SELECT p.name FROM patients p, LATERAL (SELECT p.to_jsonb) w WHERE {patients p} FOR UPDATE OF p",
            // The row before and after (PostgreSQL 18).
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING old",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING to_jsonb(new)",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING new.ssn",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING old.*",
            "UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING old.to_jsonb",
            "DELETE FROM patients p WHERE {patients p} RETURNING (SELECT old.row_to_json)",
        ],
    );
    // What is not masked has the same names in every row.
    all(
        Seen::Pass,
        &clinic,
        &["UPDATE patients p SET name = 'x' WHERE {patients p} RETURNING old.name, new.visits"],
    );
}

/// What an assignment leaves of a value is read.
#[test]
fn no_element_or_field_of_a_masked_column_is_assigned() {
    let clinic = Clinic::masked();
    let statements = |element: &str| {
        [
            format!("UPDATE patients p SET name = 'x', {element} = $1 WHERE p.mrn = 1 AND {{patients p}}"),
            format!(
                "UPDATE patients p SET ({element}, name) = ($1, 'x') FROM ward w WHERE p.mrn = w.id AND {{patients p}}"
            ),
            format!(
                "WITH u AS (UPDATE patients p SET {element} = $1 WHERE {{patients p}} RETURNING p.name) SELECT name FROM u"
            ),
            format!(
                "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET {element} = $1 \
                 WHERE {{patients patients}} AND {{proposed patients}} RETURNING {{new patients patients}} AS __glass_c1"
            ),
            format!(
                "MERGE INTO patients p USING (SELECT 1 AS id) s ON p.mrn = s.id AND {{patients p}} \
                 WHEN MATCHED THEN UPDATE SET name = 'x', {element} = 'x'"
            ),
        ]
    };
    for whole_or_clear in ["ssn", "name['a']", "name.street"] {
        all(Seen::Pass, &clinic, &statements(whole_or_clear).each_ref().map(String::as_str));
    }
    for part in ["ssn['a']", "ssn[1:2]", "ssn[:]", "ssn[1][2]", "ssn.street", "ssn[1].street", "dob.year"] {
        all(Seen::Fail, &clinic, &statements(part).each_ref().map(String::as_str));
    }
    // A row that is not there yet has nothing to be read.
    let insert =
        "INSERT INTO patients (mrn, ssn['a']) VALUES (1, $1) RETURNING {new patients patients} AS __glass_c1";
    all(Seen::Pass, &clinic, &[insert]);
}

/// A clinic whose rows of patients outside are shown masked: what stands in place of `n`.
fn outside(n: &str, params: Option<GuardParams>) -> (Clinic, String) {
    let mut clinic = Clinic::new();
    clinic.role.outside = Outside::Mask;
    let name = |n: &str| crate::catalog::QualifiedName::new("public", n);
    let masks = [("sex".to_owned(), None), ("dob".to_owned(), Some(Mask::Year))];
    clinic.role.masking.outside.insert(name("patients"), masks.into());
    let oid = clinic.catalog.by_name[&name(n)];
    let Access::Protected { table, filter: false, masks, .. } = clinic.bound.access(&clinic.role, oid) else {
        panic!("not shown");
    };
    let relation = &clinic.catalog.relations[&oid];
    let shape = DerivedShape { inside: params, ..DerivedShape::default() };
    let text = derived_table(&clinic.bound.policy, table, relation, &masks, "__glass_r1", shape);
    (clinic, text)
}

#[test]
fn rows_outside_are_shown_only_in_the_masked_form() {
    let params = Some(GuardParams::after(3, Variant::Assigned));
    let (clinic, t) = outside("patients", params);
    let (_, far) = outside("results", params);
    // The condition tells who is inside; the key and what is named stay readable, all else is NULL.
    for part in [
        "CASE WHEN \"__glass_a\".\"patient_id\" OPERATOR(pg_catalog.=) \"__glass_r1\".\"mrn\" THEN",
        "\"__glass_r1\".\"mrn\" AS \"mrn\", CASE",
        "\"__glass_r1\".\"sex\" AS \"sex\"",
        "ELSE NULL::pg_catalog.text END AS \"ssn\"",
    ] {
        assert!(t.contains(part), "{part}: {t}");
    }
    all(
        Seen::Pass,
        &clinic,
        &[
            &format!("SELECT ssn FROM {t} AS p WHERE p.ssn::int > 1 ORDER BY dob"),
            &format!("SELECT p.ssn, r.value FROM {t} AS p LEFT JOIN {far} AS r ON r.value = 1 / p.visits"),
            "UPDATE patients p SET name = ssn WHERE p.mrn = 1 AND {patients p} RETURNING p.name",
            "INSERT INTO patients (mrn, ssn) VALUES (1, $1) RETURNING ssn, {new patients patients} AS __glass_c1",
        ],
    );
    let (_, nobody) = outside("patients", None);
    let (_, granted) = outside("patients", Some(GuardParams::after(3, Variant::Granted)));
    all(
        Seen::Fail,
        &clinic,
        &[
            "SELECT name FROM patients p",
            "SELECT name FROM patients p WHERE {patients p}",
            &format!("SELECT ssn FROM {nobody} AS p"),
            &format!("SELECT ssn FROM {granted} AS p"),
            &format!("SELECT ssn FROM {} AS p", t.replace("$4", "$3")),
            &format!(
                "SELECT ssn FROM {} AS p",
                t.replace("ELSE NULL::pg_catalog.text END", "ELSE \"__glass_r1\".\"ssn\" END")
            ),
            &format!("SELECT ssn FROM {} AS p", t.replace("LEFT JOIN", "INNER JOIN")),
            &format!("SELECT ssn FROM {} AS p", t.replacen("CASE WHEN ", "CASE WHEN true OR ", 1)),
            &format!("SELECT ssn FROM {} AS p", t.replace("\"glass\".\"assigned\"", "\"assigned\"")),
            &format!("SELECT ssn FROM {} AS p", far.replace("results", "patients")),
            &format!("SELECT value FROM {} AS p", far.replacen(" LEFT JOIN", ", patients AS x LEFT JOIN", 1)),
            "UPDATE patients p SET name = 'x'",
            "DELETE FROM patients p",
            "INSERT INTO patients (mrn, ssn) VALUES (1, $1)",
        ],
    );
}

/// What a write records of the rows it met are keys of rows inside, which no mask is for.
#[test]
fn the_bound_of_a_write_beside_masked_rows_is_of_rows_inside() {
    let (clinic, _) = outside("patients", Some(GuardParams::after(3, Variant::Assigned)));
    let around = |condition: &str| {
        format!(
            "WITH __glass_d1 AS (UPDATE patients p SET mrn = $1 WHERE {{patients p}} RETURNING {{new patients p}} AS __glass_c1) \
             SELECT q.*, w.__glass_b1 AS __glass_s1 FROM (SELECT ARRAY(SELECT DISTINCT __glass_r1.mrn::pg_catalog.text \
             FROM public.patients AS __glass_r1 WHERE {condition}) AS __glass_b1) AS w LEFT JOIN \
             (SELECT *, true AS __glass_m1 FROM __glass_d1 OFFSET 0) AS q ON true"
        )
    };
    for good in [
        "{patients __glass_r1}",
        "{patients __glass_r1} AND (__glass_r1.name = $2)",
        "{patients __glass_r1} AND (__glass_r1.mrn IN ('1'::bigint, $2::bigint))",
        "(__glass_r1.mrn = 1)",
    ] {
        all(Seen::Pass, &clinic, &[&around(good)]);
    }
    for bad in [
        "(__glass_r1.name = $2)",
        "(__glass_r1.name = $2) OR {patients __glass_r1}",
        "((__glass_r1.name::text)::text = $2)",
        "(__glass_r1.mrn IN (1, __glass_r1.visits::bigint))",
        "{patients __glass_r1} AND (__glass_r1.name::bigint = 1)",
        "{patients __glass_r1} AND (__glass_r1.visits IN (SELECT 1))",
    ] {
        all(Seen::Fail, &clinic, &[&around(bad)]);
    }
}

/// A role that sees every patient, but no group of fewer than eleven; `{patients p}` is the condition on
/// its patients, `{patients p column}` that on those with a value in the column, `{patients p a-b}` that on those with
/// one in `a` and none in `b` (`*-b`: in any).
fn cells(text: &str) -> Result<(), CheckFailure> {
    let mut clinic = Clinic::new();
    clinic.role.scope = Scope::All;
    clinic.role.masking.min_cell = Some(11);
    let ward = clinic.catalog.by_name[&crate::catalog::QualifiedName::new("public", "ward")];
    clinic.catalog.keys.primary.insert(ward, vec!["mrn".to_owned()]);
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (inside, after))) =
        rest.split_once('{').and_then(|(b, a)| Some((b, a.split_once('}')?)))
    {
        let words: Vec<&str> = inside.split(' ').collect();
        let oid = clinic.catalog.by_name[&crate::catalog::QualifiedName::new("public", words[0])];
        let column = words.get(2).map(|c| crate::catalog::quote_ident(c));
        out += before;
        let (policy, table) = (&clinic.bound.policy, &clinic.bound.tables[&oid]);
        out += &match words.get(2).and_then(|w| w.split_once('-')) {
            None if words.get(2).is_some_and(|w| w.starts_with('=')) => {
                let column = words[2].trim_start_matches('=');
                crate::policy::values_condition(policy, table, words[1], column, None, false, 11)
            }
            None => crate::policy::cell_condition(policy, table, words[1], column.as_deref(), 11),
            Some((with, without)) => {
                let with = Some(with).filter(|w| *w != "*").map(|w| format!("{w} IS NOT NULL AND "));
                let rows = format!("{}{without} IS NULL", with.unwrap_or_default());
                crate::policy::difference_condition(policy, table, words[1], &rows, 11)
            }
        };
        rest = after;
    }
    check(&(out + rest), &clinic.check_context())
}

#[test]
fn groups_are_held_to_the_least_number_of_patients() {
    for good in [
        "SELECT sex, count(*) FROM patients p GROUP BY sex HAVING {patients p}",
        "SELECT avg(weight) FROM patients p WHERE active HAVING {patients p} AND {patients p weight} AND {patients p =weight}",
        "SELECT w.name, count(*) FROM patients p LEFT JOIN ward w ON w.mrn = p.mrn GROUP BY w.name HAVING {patients p}",
        "SELECT date_trunc('month', dob), count(*) FROM patients p GROUP BY 1 HAVING {patients p}",
        "SELECT date_trunc('year', p.dob) AS y, count(*) FROM patients p GROUP BY y HAVING {patients p}",
        "SELECT w.name, count(*) FROM ward w JOIN notes n ON n.mrn = w.mrn GROUP BY w.name HAVING {notes n}",
        "SELECT unit, count(value) AS n FROM results r JOIN orders o USING (order_id) WHERE o.code = 'x' GROUP BY 1 \
         HAVING (count(*) > 5) AND {results r} AND {orders o} AND {results r value} AND {orders o value} AND {results r *-value} \
         AND {orders o *-value}",
        "SELECT avg(weight), stddev(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight}",
        "SELECT count(*), avg(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight} AND {patients p *-weight}",
        "SELECT count(visits), avg(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight} AND {patients p visits} \
         AND {patients p weight-visits} AND {patients p visits-weight}",
        "SELECT count(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p *-weight} ORDER BY count(*)",
        "SELECT p.sex, count(*) FROM patients p JOIN notes n ON n.mrn = p.mrn AND n.id >= p.visits WHERE n.id <> p.visits \
         GROUP BY p.sex HAVING {patients p} AND {notes n}",
        "SELECT 100 * n / sum(n) OVER () FROM (SELECT sex, count(*) AS n FROM patients p GROUP BY sex HAVING {patients p}) g",
        "SELECT 1 / n FROM (SELECT sex, count(*) AS n FROM patients p GROUP BY sex HAVING {patients p} OFFSET 0) g WHERE 1 / n > 0",
    ] {
        assert_eq!(cells(good), Ok(()), "{good}");
    }
    for bad in [
        "SELECT sex, count(*) FROM patients p GROUP BY sex",
        "SELECT avg(weight) FROM patients p HAVING {patients p}",
        "SELECT avg(weight) FROM patients p HAVING {patients p} AND {patients p weight}",
        "SELECT count(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight}",
        "SELECT avg(weight) FROM patients p HAVING {patients p} AND {patients p visits}",
        "SELECT sex, count(*) FROM patients p GROUP BY sex HAVING {patients p} OR true",
        "SELECT sex, count(*) FROM patients p, notes n WHERE n.mrn = p.mrn GROUP BY sex HAVING {patients p}",
        "SELECT p.sex, count(*) FROM patients p, patients q WHERE q.mrn = p.mrn GROUP BY 1 HAVING {patients p}",
        "SELECT name FROM patients p HAVING {patients p}",
        "SELECT count(*), count(weight) FROM patients p HAVING {patients p} AND {patients p weight}",
        "SELECT count(weight) FROM patients p HAVING {patients p} AND {patients p weight} ORDER BY count(*)",
        "SELECT count(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND count(*) > 5",
        "SELECT count(*), avg(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight} AND ({patients p *-weight} OR true)",
        "SELECT count(*), avg(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight} AND {patients p *-visits}",
        "SELECT count(visits), avg(weight) FROM patients p HAVING {patients p} AND {patients p weight} AND {patients p =weight} AND {patients p visits} \
         AND {patients p weight-visits}",
        "SELECT count(*), count(w.id) FROM patients p LEFT JOIN ward w ON w.mrn = p.mrn HAVING {patients p} AND {patients p id}",
        "SELECT n.id, count(*) FROM patients p JOIN notes n ON n.mrn > p.mrn GROUP BY n.id HAVING {patients p} AND {notes n}",
        "SELECT w.name, count(*) FROM patients p JOIN ward w ON p.visits <= w.mrn GROUP BY 1 HAVING {patients p}",
        "SELECT n.id, count(*) FROM patients p JOIN notes n ON n.id = p.visits AND n.mrn > p.mrn GROUP BY n.id \
         HAVING {patients p} AND {notes n}",
        "SELECT q.sex, count(*) FROM patients p JOIN notes n ON n.mrn = p.mrn, patients q WHERE q.visits < p.visits \
         GROUP BY 1 HAVING {patients p} AND {notes n} AND {patients q}",
        "SELECT sum(a.weight) - sum(b.weight) FROM patients a LEFT JOIN patients b ON a.mrn = b.mrn AND b.name <> 'x' HAVING {patients a} AND {patients b} AND {patients a weight} AND {patients b weight}",
        "SELECT count(*), count(n.id) FROM patients p LEFT JOIN notes n ON n.mrn = p.mrn HAVING {patients p} AND {notes n} AND {notes n id}",
        "SELECT count(*) FROM patients p LEFT JOIN ward w ON p.name = 'x' HAVING {patients p}",
        "SELECT count(*) FROM patients p LEFT JOIN ward w ON w.mrn = p.mrn AND p.name = 'x' HAVING {patients p}",
        "SELECT count(*) FROM ward w RIGHT JOIN patients p ON w.mrn = p.mrn AND p.name = 'x' HAVING {patients p}",
        "SELECT date_trunc(name, dob), count(*) FROM patients p GROUP BY 1 HAVING {patients p}",
        "SELECT date_trunc('month', dob + visits), count(*) FROM patients p GROUP BY 1 HAVING {patients p}",
        "SELECT 1 / visits, count(*) FROM patients p GROUP BY 1 HAVING {patients p}",
        "SELECT count(*) FROM (SELECT * FROM patients p OFFSET 0) p HAVING {patients p}",
        "SELECT count(*) FROM (SELECT sex FROM patients p GROUP BY sex HAVING {patients p}) x, patients y",
        "SELECT ARRAY(SELECT name FROM patients) AS __glass_b1",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r, patients p GROUP BY n HAVING {patients p}) SELECT * FROM r",
        "DELETE FROM notes",
        "INSERT INTO notes (mrn) VALUES (1)",
    ] {
        assert!(cells(bad).is_err(), "{bad}");
    }
    let good = "SELECT sex, count(*) FROM patients p GROUP BY sex HAVING {patients p}";
    assert!(
        cells(&good.replace(
            "{patients p}",
            "pg_catalog.count(DISTINCT p.mrn::pg_catalog.text) OPERATOR(pg_catalog.>=) 10"
        ))
        .is_err()
    );
    // A condition above the groups that could fail on one that is not shown is not pushed down.
    let above = "SELECT 1 FROM (SELECT sex, count(*) AS n FROM patients p GROUP BY sex HAVING {patients p}) g WHERE 1 / n > 0";
    assert!(matches!(cells(above), Err(CheckFailure::NeedsFence(_))));
}

#[test]
fn rows_of_masked_tables_are_locked_where_no_masked_column_is_read() {
    let clinic = Clinic::masked();
    all(
        Seen::Pass,
        &clinic,
        &[
            "SELECT p.mrn, p.name FROM patients p WHERE p.mrn = 1 AND {patients p} FOR UPDATE",
            "SELECT count(*) FROM (SELECT mrn FROM patients p WHERE {patients p} FOR SHARE) x",
            "INSERT INTO patients (mrn, ssn) VALUES (1, 'x') ON CONFLICT (mrn) DO UPDATE SET ssn = excluded.ssn WHERE {patients patients} AND {proposed patients} RETURNING {new patients patients} AS __glass_c1",
        ],
    );
    all(
        Seen::Fail,
        &clinic,
        &[
            "SELECT p.mrn, p.name FROM patients p WHERE p.mrn = 1 AND {patients p}",
            "SELECT p.ssn FROM patients p WHERE {patients p} FOR UPDATE",
            "SELECT * FROM patients p WHERE {patients p} FOR UPDATE",
            "SELECT p FROM patients p WHERE {patients p} FOR UPDATE",
            "SELECT p.mrn FROM patients p WHERE ssn = 'x' AND {patients p} FOR UPDATE",
            "SELECT p.mrn FROM patients p WHERE {patients p} ORDER BY p.ssn FOR UPDATE",
            "SELECT b FROM patients AS p (a, b) WHERE {patients p} FOR UPDATE",
            "SELECT j.b FROM (patients p JOIN ward w ON true) AS j (a, b) WHERE {patients p} FOR UPDATE",
            "SELECT x.ssn FROM (SELECT p.* FROM patients p WHERE {patients p} FOR UPDATE) x",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = patients.ssn WHERE {patients patients} AND {proposed patients} RETURNING {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE (patients.ssn = 'y') AND {patients patients} AND {proposed patients} RETURNING {new patients patients} AS __glass_c1",
            "UPDATE patients excluded SET name = excluded.ssn WHERE {patients excluded}",
            "INSERT INTO patients (mrn, ssn) VALUES (1, 'x') ON CONFLICT (ssn) DO UPDATE SET sex = excluded.sex WHERE {patients patients} AND {proposed patients} RETURNING mrn, {new patients patients} AS __glass_c1",
            "INSERT INTO patients (mrn, ssn) VALUES (1, 'x') ON CONFLICT ON CONSTRAINT u DO UPDATE SET sex = excluded.sex WHERE {patients patients} AND {proposed patients} RETURNING mrn, {new patients patients} AS __glass_c1",
            "INSERT INTO patients AS excluded (mrn) VALUES (1) RETURNING excluded.ssn, {new patients excluded} AS __glass_c1",
        ],
    );
}

/// The form that asks once a row, of rows that take one of several ways, and the one that looks for those inside, of rows
/// of several patients.
#[test]
fn whose_a_row_is_is_asked_in_the_form_that_policy_gives_it() {
    let name = |n: &str| crate::catalog::QualifiedName::new("public", n);
    let way = |table: &str, column: &str, many: bool| KeyPath {
        steps: vec![Step { many, ..Step::new("order_id", name(table), column) }],
        key: "mrn".to_owned(),
    };
    let when = |is: &str, path: KeyPath| Alternative { column: "unit".into(), is: vec![is.into()], path };
    let by_value = Path::When(vec![
        when("mg", way("orders", "order_id", false)),
        when("visits", way("patients", "visits", true)),
    ]);
    let of_several = Path::One(way("orders", "code", true));
    for (path, asked, changes) in [
        (
            by_value,
            "LEFT JOIN LATERAL (SELECT (EXISTS (SELECT 1 FROM ",
            [
                ("HAVING true", "HAVING false"),
                (" HAVING true", ""),
                ("AS \"__glass_m\" HAVING", "OR true AS \"__glass_m\" HAVING"),
                ("\"__glass_l\" ON true", "\"__glass_l\" ON false"),
                ("CASE WHEN \"__glass_l\".\"__glass_m\"", "CASE WHEN NOT \"__glass_l\".\"__glass_m\""),
                ("LEFT JOIN LATERAL", "CROSS JOIN patients AS x LEFT JOIN LATERAL"),
                ("'mg'", "'g'"),
            ],
        ),
        (
            of_several,
            "LEFT JOIN (SELECT DISTINCT \"__glass_q\".\"__glass_k\" FROM (SELECT ",
            [
                ("SELECT DISTINCT", "SELECT"),
                ("LEFT JOIN", "INNER JOIN"),
                ("\"__glass_t1\".\"code\" FROM", "\"__glass_t1\".\"order_id\" FROM"),
                ("$4::pg_catalog.text", "$3::pg_catalog.text"),
                ("CASE WHEN ", "CASE WHEN true OR "),
                ("FROM \"public\".\"orders\"", "FROM \"public\".\"notes\""),
                ("\"__glass_l\" ON", "\"__glass_l\" ON true OR"),
            ],
        ),
    ] {
        let mut clinic = Clinic::new();
        clinic.role.outside = Outside::Mask;
        let table = clinic.bound.tables.get_mut(&4).expect("results");
        std::sync::Arc::make_mut(&mut table.rule).path = path;
        table.tells_type = Some("pg_catalog.text".to_owned());
        let Access::Protected { table, filter: false, masks, .. } = clinic.bound.access(&clinic.role, 4)
        else {
            panic!("not shown");
        };
        let shape = DerivedShape {
            inside: Some(GuardParams::after(3, Variant::Assigned)),
            ..DerivedShape::default()
        };
        let relation = &clinic.catalog.relations[&4];
        let t = derived_table(&clinic.bound.policy, table, relation, &masks, "__glass_r1", shape);
        assert_eq!(t.matches(asked).count(), 1, "{t}");
        all(Seen::Pass, &clinic, &[&format!("SELECT r.value FROM {t} AS r WHERE r.value > 1 ORDER BY 1")]);
        for (from, to) in changes {
            let changed = t.replacen(from, to, 1);
            assert_ne!(changed, t, "{from}: {t}");
            all(Seen::Fail, &clinic, &[&format!("SELECT r.value FROM {changed} AS r")]);
        }
    }
}

/// Rows outside are shown masked and need no fence; what is closed is not shown, and does.
#[test]
fn what_is_closed_is_not_shown_masked_and_nothing_fails_on_it() {
    let mut clinic = Clinic::limited(Scope::Assigned);
    clinic.role.outside = Outside::Mask;
    let shown = |clinic: &Clinic, fence: bool, hides: bool| {
        let Access::Protected { table, filter: false, masks, .. } = clinic.bound.access(&clinic.role, 2)
        else {
            panic!("not shown");
        };
        let inside = Some(GuardParams::after(3, Variant::Assigned));
        let shape = DerivedShape { inside, fence, ..DerivedShape::default() };
        let table = if hides { table } else { &clinic.bound.tables[&2] };
        let relation = &clinic.catalog.relations[&2];
        derived_table(&clinic.bound.policy, table, relation, &masks, "__glass_r1", shape)
    };
    let text = |t: String, condition: &str| format!("SELECT n.id FROM {t} AS n WHERE {condition}");
    all(Seen::Pass, &clinic, &[&text(shown(&clinic, false, true), "n.id = 1")]);
    all(Seen::Pass, &clinic, &[&text(shown(&clinic, true, true), "n.body::int > 1")]);
    all(Seen::Fence, &clinic, &[&text(shown(&clinic, false, true), "n.body::int > 1")]);
    all(Seen::Fail, &clinic, &[&text(shown(&clinic, false, false), "n.id = 1")]);
}
