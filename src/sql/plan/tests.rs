//! Shapes of rewritten statements, on a small catalog made by hand. The properties are tested
//! against a real server in `tests/lineage_rewrite.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::catalog::{Column, QualifiedName, Relation, RelationKind};
use crate::policy::*;
use crate::sql::{Pin, PinValue};

fn relation(catalog: &mut Catalog, oid: u32, schema: &str, name: &str, columns: &[(&str, &str)]) {
    let name = QualifiedName::new(schema, name);
    catalog.by_name.insert(name.clone(), oid);
    let columns = columns.iter().enumerate().map(|(i, (column, t))| Column {
        name: (*column).to_owned(),
        attnum: i as i16 + 1,
        type_oid: 25,
        typmod: -1,
        type_sql: (*t).to_owned(),
        builtin_type: true,
        domain_base: None,
        generated: false,
        computed_from: Vec::new(),
    });
    let relation = Relation {
        oid,
        name,
        kind: RelationKind::Table,
        columns: columns.collect(),
        parents: Vec::new(),
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    };
    catalog.relations.insert(oid, relation);
}

fn catalog() -> Catalog {
    let mut c = Catalog::default();
    relation(&mut c, 1, "clinic", "patient", &[("patient_id", "bigint"), ("mrn", "text"), ("name", "text")]);
    relation(
        &mut c,
        2,
        "clinic",
        "visit",
        &[("visit_id", "bigint"), ("patient_id", "bigint"), ("kind", "text")],
    );
    relation(&mut c, 3, "clinic", "lab", &[("visit_id", "bigint"), ("value", "integer")]);
    relation(&mut c, 4, "public", "ward", &[("ward", "integer"), ("wname", "text")]);
    relation(&mut c, 6, "public", "other", &[("mrn", "text"), ("name", "text")]);
    relation(&mut c, 5, "glass", "assigned", &[("who", "text"), ("patient_id", "bigint")]);
    c
}

fn policy() -> Policy {
    let name = |n: &str| QualifiedName::new("clinic", n);
    let rule = |n: &str, steps: Vec<Step>| {
        TableRule::new(name(n), "all", KeyPath { steps, key: "patient_id".to_owned() })
    };
    let step = Step::new("visit_id", name("visit"), "visit_id");
    Policy {
        version: "".into(),
        key_type: KeyType::Int8,
        identifiers: vec![Identifier { table: name("patient"), column: "mrn".to_owned() }],
        assignment: Assignment {
            relation: QualifiedName::new("glass", "assigned"),
            principal: "who".to_owned(),
            patient: "patient_id".to_owned(),
            valid_from: None,
            valid_to: None,
        },
        tables: vec![rule("patient", vec![]), rule("visit", vec![]), rule("lab", vec![step])],
        reference: ["ward", "other"].map(|n| QualifiedName::new("public", n)).into(),
        roles: BTreeMap::new(),
        membership: Membership::default(),
        profiles: BTreeMap::new(),
        mode: Default::default(),
        sources: Vec::new(),
        deny: Default::default(),
        labels: Vec::new(),
    }
}

fn nurse() -> Role {
    Role { outside: Outside::Block, ..Role::new("nurse", Scope::Assigned) }
}

fn plan_as(role: &Role, text: &str, client_params: u16, variant: Variant) -> Result<GuardedPlan, PlanError> {
    let catalog = catalog();
    let bound = BoundPolicy::bind(Arc::new(policy()), &catalog, None);
    assert_eq!(bound.problems, []);
    let namespace = Namespace { schemas: vec!["clinic".into(), "public".into()], ..Namespace::default() };
    let (ast, _) = reparse(text)?;
    let input = PlanInput {
        text,
        role,
        policy: &bound,
        catalog: &catalog,
        namespace: &namespace,
        variant,
        client_params,
        fence: Fence::None,
        opaque: Opaque::Operators,
        pins: Default::default(),
    };
    rewrite(ast, &input)
}

fn plan(text: &str) -> GuardedPlan {
    plan_as(&nurse(), text, 0, Variant::Assigned).unwrap()
}

fn refused(text: &str) -> String {
    plan_as(&nurse(), text, 0, Variant::Assigned).unwrap_err().to_string()
}

/// The guard's text, shortened to a word.
fn short(text: &str) -> String {
    let mut out = text.to_owned();
    for alias in ["patient", "visit", "p", "v"] {
        let guard = format!(
            "(\"{alias}\".\"patient_id\" OPERATOR(pg_catalog.=) ANY (SELECT \"__glass_a\".\"patient_id\" FROM \
             \"glass\".\"assigned\" AS \"__glass_a\" WHERE \"__glass_a\".\"who\" OPERATOR(pg_catalog.=) \
             $1::pg_catalog.text))"
        );
        out = out.replace(&guard, &format!("GUARD({alias})"));
    }
    out.replace("::pg_catalog.text", "::t")
}

#[test]
fn a_guard_stands_in_where_or_in_the_on_of_the_nullable_side() {
    assert_eq!(
        short(&plan("SELECT name FROM patient WHERE name = 'a' OR name = 'b'").text),
        "SELECT name, \"patient\".\"patient_id\"::t AS __glass_k1 FROM \"clinic\".\"patient\" AS \"patient\" \
         WHERE (name = 'a' OR name = 'b') AND GUARD(patient)"
    );
    let text = short(&plan("SELECT 1 FROM ward w LEFT JOIN patient p ON p.name = w.wname OR true").text);
    assert!(text.ends_with("ON (p.name = w.wname OR true) AND GUARD(p)"), "{text}");
    let text = short(
        &plan("SELECT 1 FROM ward w LEFT JOIN (patient p JOIN visit v ON v.kind = p.name) ON true").text,
    );
    assert!(text.ends_with("ON v.kind = p.name) ON (true) AND GUARD(p) AND GUARD(v)"), "{text}");
}

#[test]
fn without_an_on_a_derived_table_holds_the_guard() {
    for from in [
        "ward w FULL JOIN patient p ON p.name = w.wname",
        "ward w NATURAL LEFT JOIN patient p",
        "(ward w JOIN patient p ON true) AS j",
        "patient AS p(a, b, c)",
    ] {
        let text = short(&plan(&format!("SELECT 1 FROM {from}")).text);
        assert!(text.contains("AS \"__glass_r1\" WHERE (\"__glass_r1\".\"patient_id\""), "{text}");
        assert!(!text.contains("GUARD(p)"), "{text}");
    }
}

#[test]
fn with_names_shadow_tables_exactly_where_postgresql_says() {
    let relations = |text: &str| plan(text).footprint.relations;
    assert!(relations("WITH patient AS (SELECT 1) SELECT * FROM patient").is_empty());
    assert_eq!(
        relations("WITH patient AS (SELECT * FROM patient) SELECT * FROM patient"),
        ["clinic.patient"]
    );
    assert_eq!(relations("WITH patient AS (SELECT 1) SELECT * FROM clinic.patient"), ["clinic.patient"]);
    assert_eq!(
        relations("SELECT * FROM (WITH patient AS (SELECT 1) SELECT 1) x, patient"),
        ["clinic.patient"]
    );
    assert_eq!(
        relations("WITH x AS (SELECT * FROM visit), visit AS (SELECT 1) SELECT 1 FROM visit"),
        ["clinic.visit"]
    );
    assert!(
        relations("WITH RECURSIVE x AS (SELECT * FROM visit), visit AS (SELECT 1) SELECT 1 FROM x")
            .is_empty()
    );
    assert_eq!(relations("SELECT \"patient\".name FROM PATIENT"), ["clinic.patient"]);
    assert!(relations("SELECT 1 FROM \"PATIENT\"").is_empty());
}

#[test]
fn parameters_follow_the_clients() {
    let p =
        plan_as(&nurse(), "SELECT * FROM patient WHERE name = $1 AND mrn > $2", 2, Variant::Granted).unwrap();
    assert_eq!((p.principal_param, p.grants_param), (Some(3), Some(4)));
    assert!(p.text.contains("$3::pg_catalog.text") && p.text.contains("unnest($4::"), "{}", p.text);
    let mut dba = nurse();
    dba.scope = Scope::All;
    let p = plan_as(&dba, "SELECT * FROM patient", 0, Variant::Assigned).unwrap();
    assert_eq!((p.principal_param, p.filtered, p.text.contains("assigned")), (None, false, false));
}

#[test]
fn pins_are_read_through_equalities_and_never_through_outer_joins_from_below() {
    let pins = |text: &str| {
        let p = plan(text);
        let values = p.pins.iter().map(|Pin { identifier, value, .. }| match value {
            PinValue::Constant(c) => {
                format!("{}{c}", identifier.map(|i| format!("id{i}:")).unwrap_or_default())
            }
            PinValue::Parameter(n) => format!("${n}"),
            other => format!("{other:?}"),
        });
        (p.lineage.strategy, values.collect::<Vec<_>>().join(","))
    };
    let pinned = |v: &str| (Strategy::Pinned, v.to_owned());
    assert_eq!(pins("SELECT * FROM patient WHERE patient_id = $1"), pinned("$1"));
    assert_eq!(pins("SELECT * FROM patient WHERE '07' = patient_id"), pinned("7"));
    assert_eq!(pins("SELECT * FROM patient WHERE patient_id IN (1, -2)"), pinned("1,-2"));
    assert_eq!(
        pins("SELECT 1 FROM lab l JOIN visit v ON l.visit_id = v.visit_id WHERE v.patient_id = 5"),
        pinned("5")
    );
    assert_eq!(
        pins(
            "SELECT 1 FROM patient p LEFT JOIN visit v ON v.patient_id = p.patient_id WHERE p.patient_id = 5"
        ),
        pinned("5")
    );
    assert_eq!(
        pins(
            "SELECT 1 FROM patient p WHERE p.patient_id = 5 AND EXISTS (SELECT 1 FROM visit v WHERE v.patient_id = p.patient_id)"
        ),
        pinned("5")
    );
    for open in [
        "SELECT 1 FROM patient p LEFT JOIN visit v ON p.patient_id = 5",
        "SELECT 1 FROM patient p LEFT JOIN visit v ON v.patient_id = p.patient_id AND v.patient_id = 5",
        "SELECT 1 FROM patient WHERE patient_id = 5 OR name = 'a'",
        "SELECT 1 FROM patient WHERE patient_id = 5.5",
        "SELECT 1 FROM patient p, visit v WHERE p.patient_id = 5 AND v.kind = p.name",
        "SELECT 1 FROM visit v FULL JOIN patient p ON v.patient_id = p.patient_id WHERE p.patient_id = 5",
    ] {
        assert_ne!(pins(open).0, Strategy::Pinned, "{open}");
    }
    assert_eq!(pins("SELECT name FROM patient WHERE mrn = 'M7'"), (Strategy::Carried, "id0:M7".to_owned()));
    let p = plan("SELECT count(*) FROM patient WHERE patient_id = 5");
    assert!(
        p.block && p.lineage.strategy == Strategy::Carried && p.text.contains("array_agg(DISTINCT"),
        "{p:?}"
    );
}

#[test]
fn bounds_copy_only_what_is_safe_and_local() {
    let text = plan("SELECT DISTINCT kind FROM visit v LEFT JOIN patient p ON p.name = 'x' WHERE v.kind = 'in' AND p.mrn = 'q' AND length(v.kind) > 1").text;
    assert!(text.contains("AND (\"__glass_r1\".\"kind\" = 'in'))"), "{text}");
    assert!(text.contains("AND (\"__glass_r1\".\"name\" = 'x'))"), "{text}");
    assert!(!text.contains("\"mrn\" = 'q'") && !text.contains("length(\"__glass"), "{text}");
    let p = plan("SELECT DISTINCT kind FROM visit");
    assert_eq!((p.has_marker, p.lineage.exact, p.lineage.reasons), (true, false, vec!["DISTINCT"]));
}

#[test]
fn writes_return_keys_and_check_new_ones() {
    let p = plan("INSERT INTO visit VALUES (1, 2, 'x')");
    assert!(p.rows_are_witnesses && p.kind == StatementKind::Insert);
    assert!(
        p.text.contains("AS __glass_c1, \"visit\".\"patient_id\"::pg_catalog.text AS __glass_k1"),
        "{}",
        p.text
    );
    let p = plan("UPDATE visit SET kind = 'y' RETURNING kind");
    assert!(!p.rows_are_witnesses && !p.text.contains("__glass_c1") && p.text.contains(" WHERE (\"visit\""));
    let p = plan("UPDATE visit SET patient_id = 3 WHERE patient_id = 2");
    assert!(p.text.contains("__glass_c1") && p.pins.len() == 1);
    assert!(refused("INSERT INTO ward SELECT 1, name FROM patient").contains("copy"));
    assert!(refused("UPDATE ward SET wname = (SELECT name FROM patient)").contains("copy"));
    let p = plan("INSERT INTO visit SELECT 1, patient_id, 'x' FROM patient WHERE patient_id = 4");
    assert_eq!(p.pins.len(), 1);
}

#[test]
fn writes_that_read_more_are_wrapped_with_what_no_returned_row_tells() {
    let reasons = |text: &str| {
        let p = plan(text);
        assert!(p.has_marker && p.text.starts_with("WITH "), "{}", p.text);
        (p.rows_are_witnesses, p.lineage.exact, p.lineage.reasons)
    };
    assert_eq!(reasons("UPDATE visit SET patient_id = 3"), (true, false, vec!["KEY_CHANGED"]));
    let conflict = "INSERT INTO visit VALUES (1, 2, 'x'), ($1, 2, 'x') ON CONFLICT (visit_id)";
    assert_eq!(reasons(&format!("{conflict} DO NOTHING")), (true, false, vec!["ON_CONFLICT"]));
    let p = plan(&format!("{conflict} DO NOTHING"));
    assert!(p.text.contains("\"__glass_r1\".\"visit_id\" IN (1::bigint, $1::bigint)"), "{}", p.text);
    let p = plan(&format!("{conflict} DO UPDATE SET kind = 'y'"));
    assert!(p.lineage.exact && !p.has_marker, "{}", p.text);
    let p = plan("DELETE FROM visit WHERE kind IN (SELECT name FROM patient) RETURNING *");
    assert_eq!((p.rows_are_witnesses, p.lineage.reasons), (false, vec!["WRITE_READS"]));
    let p = plan("WITH d AS (DELETE FROM visit RETURNING *) SELECT * FROM d");
    assert_eq!((p.kind, p.has_marker, p.lineage.exact), (StatementKind::With, true, true));
    assert!(p.text.contains("d AS (SELECT __glass_o1 AS \"visit_id\", __glass_o2"), "{}", p.text);
    let p = plan("WITH d AS (DELETE FROM visit) UPDATE visit SET kind = 'a' WHERE kind = 'b'");
    assert_eq!((p.kind, p.has_marker, p.rows_are_witnesses), (StatementKind::Update, true, true));
    assert!(
        refused("SELECT * FROM (WITH d AS (DELETE FROM visit RETURNING *) SELECT * FROM d) x")
            .contains("data-modifying")
    );
    let p =
        plan("WITH d AS (DELETE FROM visit RETURNING kind::date, (1, 2) OVERLAPS (3, 4)) SELECT * FROM d");
    assert!(p.text.contains("__glass_o1 AS \"kind\", __glass_o2 AS \"overlaps\""), "{}", p.text);
    assert!(
        refused("WITH d AS (DELETE FROM visit RETURNING (SELECT * FROM (SELECT 1) x)) SELECT * FROM d")
            .contains("name")
    );
}

#[test]
fn locked_tables_keep_their_place() {
    for (lock, place) in
        [("FOR NO KEY UPDATE", ""), ("FOR UPDATE OF visit SKIP LOCKED", ""), ("", "OFFSET 0")]
    {
        let text = format!("SELECT kind FROM visit, ward WHERE visit_id = 1 AND 4 / visit_id > 3 {lock}");
        let catalog = catalog();
        let bound = BoundPolicy::bind(Arc::new(policy()), &catalog, None);
        let namespace = Namespace { schemas: vec!["clinic".into(), "public".into()], ..Namespace::default() };
        let (ast, printed) = reparse(&text).unwrap();
        assert_eq!(printed.trim(), text.trim());
        let input = PlanInput {
            text: &text,
            role: &nurse(),
            policy: &bound,
            catalog: &catalog,
            namespace: &namespace,
            variant: Variant::Assigned,
            client_params: 0,
            fence: Fence::Tables,
            opaque: Opaque::Operators,
            pins: Default::default(),
        };
        let p = rewrite(ast, &input).unwrap();
        assert!(p.text.trim().ends_with(lock) && p.text.contains(place), "{}", p.text);
        assert_eq!(p.text.contains("CASE WHEN (EXISTS"), !lock.is_empty(), "{}", p.text);
        assert_eq!(p.text.contains("((visit_id = 1) AND (CASE"), !lock.is_empty(), "{}", p.text);
    }
}

#[test]
fn masked_columns_are_masked_wherever_they_are_read() {
    let mut role = nurse();
    let masks = BTreeMap::from([("name".to_owned(), Mask::Null)]);
    role.masks.insert(QualifiedName::new("clinic", "patient"), masks);
    let plan = |t: &str| plan_as(&role, t, 0, Variant::Assigned);
    let p = plan("SELECT mrn FROM patient p WHERE name = 'x' AND mrn = 'm'").unwrap();
    assert!(
        p.text.contains("NULL::pg_catalog.text AS \"name\"") && !p.text.contains("\"__glass_r1\".\"name\""),
        "{}",
        p.text
    );
    let p = plan("SELECT DISTINCT mrn FROM patient p WHERE name = 'x' AND mrn = 'm'").unwrap();
    assert!(p.text.contains("(\"__glass_r1\".\"mrn\" = 'm')") && !p.text.contains("\"__glass_r1\".\"name\""));
    assert!(plan("UPDATE patient SET name = 'z'").is_ok());
    let p = plan("UPDATE patient p SET mrn = 'a' RETURNING *").unwrap();
    assert!(
        p.text.contains("RETURNING \"p\".\"patient_id\" AS \"patient_id\"")
            && p.text.contains("NULL::pg_catalog.text AS \"name\""),
        "{}",
        p.text
    );
    for reads in [
        "UPDATE patient SET mrn = name",
        "DELETE FROM patient WHERE name > 'a'",
        "UPDATE patient SET mrn = 'a' RETURNING upper(name)",
        "UPDATE patient SET mrn = 'a' FROM visit RETURNING *",
        "UPDATE patient p SET mrn = p::text",
    ] {
        assert!(plan(reads).unwrap_err().to_string().contains("masked"), "{reads}");
    }
    // A bare name that is a column of the subquery's own table is made to say so.
    for (subquery, becomes) in [
        ("SELECT wname FROM ward WHERE patient = 'x'", None),
        ("SELECT kind FROM visit v WHERE name = 'x'", None),
        ("SELECT mrn FROM other WHERE name = 'x'", Some("\"other\".name = 'x'")),
        (
            "SELECT mrn FROM other o WHERE EXISTS (SELECT FROM ward WHERE wname = name)",
            Some("wname = \"o\".name"),
        ),
        ("SELECT mrn FROM other, other o WHERE name = 'x'", None),
        ("SELECT mrn FROM other, (SELECT 1) s WHERE name = 'x'", None),
        ("SELECT upper(mrn) AS name FROM other ORDER BY name", None),
        ("SELECT DISTINCT ON (name) upper(mrn) AS name FROM other", None),
        ("WITH other AS (SELECT 1) SELECT name FROM other", None),
    ] {
        let plan = plan(&format!("UPDATE patient SET mrn = 'a' WHERE mrn IN ({subquery})"));
        match becomes {
            Some(text) => assert!(plan.as_ref().unwrap().text.contains(text), "{subquery}: {plan:?}"),
            None => assert!(plan.unwrap_err().to_string().contains("masked"), "{subquery}"),
        }
    }
}

#[test]
fn what_cannot_be_planned_says_what_and_how_else() {
    assert!(refused("SELECT __glass_k1 FROM patient").contains("reserved"));
    assert!(refused("SELECT U&'x', \"__GLASS_x\" FROM patient").contains("reserved"));
    assert!(refused("TABLE patient").contains("TABLE"));
    assert!(refused("SELECT * INTO x FROM patient").contains("copy"));
    assert!(refused("SELECT * FROM glass.assigned").contains("closed"));
    assert!(refused("EXPLAIN SELECT * FROM patient").contains("only SELECT"));
    assert!(matches!(reparse("SELECT 1; SELECT 2"), Err(PlanError::Parse(_))));
    assert!(matches!(reparse("SELEC"), Err(PlanError::Parse(_))));
}

#[test]
fn long_conditions_do_not_exhaust_the_stack() {
    let many = vec!["name <> 'a'"; 2500].join(" AND ");
    let text = format!("SELECT DISTINCT name FROM patient WHERE {many}");
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let p = plan_as(&nurse(), &text, 0, Variant::Assigned).unwrap();
            assert!(p.text.contains("__glass_s1"));
            let longer = [text.as_str(); 3].join(" AND ");
            assert!(plan_as(&nurse(), &longer, 0, Variant::Assigned).is_err());
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn what_the_parser_stops_at_is_told_and_not_what_it_expected() {
    for (error, want) in [
        (
            "Expected: =, found: [ at Line: 1, Column: 3",
            "a form of SQL that the rewriter does not know, near \"[\"",
        ),
        ("Expected: an expression, found: EOF", "a form of SQL that the rewriter does not know"),
        ("something else", "a form of SQL that the rewriter does not know"),
    ] {
        let error = PlanError::from(sqlparser::parser::ParserError::ParserError(error.to_owned()));
        assert_eq!(error, PlanError::Parse(want.to_owned()));
    }
}
