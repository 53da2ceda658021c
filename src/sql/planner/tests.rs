//! Whole decisions, from text to verdict, on the demonstration's own schema and configuration:
//! honest statements must come out guarded, others refused. The rewriter and the checker are
//! written apart; here they meet. What a guarded text returns is tested against a server elsewhere.

use std::path::Path;
use std::sync::Arc;

use super::{Context, decide};
use crate::catalog::{Catalog, Column, Namespace, Oid, QualifiedName, Relation, RelationKind};
use crate::policy::{BoundPolicy, Variant};
use crate::sql::cache::{Form, Plans};
use crate::sql::honest::COMMON;
use crate::sql::tree::{Node, Tree, tree_of};
use crate::sql::{GuardedPlan, Strategy, Verdict};

/// `format_type`'s spelling of the types that the demonstration uses.
fn spelled(ty: &Node) -> &'static str {
    match ty.names("names").last().copied() {
        Some("int2") => "smallint",
        Some("int4") => "integer",
        Some("int8") => "bigint",
        Some("text") => "text",
        Some("date") => "date",
        Some("timestamptz") => "timestamp with time zone",
        Some("numeric") => "numeric(10,2)",
        Some("bpchar") => "character(1)",
        Some("bool") => "boolean",
        other => panic!("a new type in the demonstration: {other:?}"),
    }
}

fn add(catalog: &mut Catalog, name: &Node, kind: RelationKind, columns: Vec<(String, &str)>) {
    let oid = Oid::try_from(catalog.relations.len()).expect("few") + 20_000;
    let name = QualifiedName::new(name.str("schemaname"), name.str("relname"));
    let columns = columns.into_iter().enumerate().map(|(i, (name, ty))| Column {
        name,
        attnum: i as i16 + 1,
        type_oid: 25,
        typmod: -1,
        type_sql: ty.to_owned(),
        builtin_type: true,
        domain_base: None,
        generated: false,
        computed_from: Vec::new(),
    });
    catalog.by_name.insert(name.clone(), oid);
    let columns = columns.collect();
    let parents = Vec::new();
    let relation = Relation {
        oid,
        name,
        kind,
        columns,
        parents,
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    };
    catalog.relations.insert(oid, relation);
}

/// The catalog of `demo/schema.sql`.
fn catalog() -> Catalog {
    let parsed = pg_query::parse(include_str!("../../../demo/schema.sql"), 0).expect("the schema parses");
    let mut catalog = Catalog { epoch: 1, server_version: 150_018, ..Catalog::default() };
    for statement in &parsed.protobuf.stmts {
        let Ok(Tree::Node(node)) = tree_of(&statement.stmt) else { panic!("a statement") };
        match node.kind {
            "CreateStmt" => {
                let columns = node.nodes("table_elts").filter(|e| e.kind == "ColumnDef");
                let columns = columns
                    .map(|c| (c.str("colname").to_owned(), spelled(c.node("type_name").expect("a type"))));
                add(
                    &mut catalog,
                    node.node("relation").expect("a name"),
                    RelationKind::Table,
                    columns.collect(),
                );
            }
            "ViewStmt" => {
                let columns = [
                    ("patient_id", "bigint"),
                    ("medication_order_id", "bigint"),
                    ("drug", "text"),
                    ("high_risk", "boolean"),
                    ("dose", "numeric(8,2)"),
                    ("unit", "text"),
                    ("frequency", "text"),
                    ("started_at", "timestamp with time zone"),
                ];
                let columns = columns.map(|(n, t)| (n.to_owned(), t)).to_vec();
                add(&mut catalog, node.node("view").expect("a name"), RelationKind::View, columns);
            }
            _ => {}
        }
    }
    catalog
}

/// A session of `role` in the demonstration's hospital.
pub(in crate::sql) fn session(role: &str) -> Context {
    let text = include_str!("../../../demo/pgglass.toml")
        .replace("@LISTEN_PORT@", "6543")
        .replace("@UPSTREAM_PORT@", "5432")
        .replace("@NODE@", "demo-1")
        .replace("@DATABASE@", "hospital")
        .replace("@DIR@", "/tmp/demo");
    let policy = crate::config::parse(&text, Path::new("pgglass.toml")).expect("the demonstration").policy;
    let catalog = catalog();
    let bound = BoundPolicy::bind(Arc::clone(&policy), &catalog, None);
    assert!(bound.problems.is_empty(), "{:?}", bound.problems);
    Context {
        role: Arc::new(policy.roles[role].clone()),
        policy: Arc::new(bound),
        catalog: Arc::new(catalog),
        namespace: Arc::new(Namespace {
            schemas: vec!["pg_catalog".into(), "clinic".into()],
            ..Namespace::default()
        }),
        variant: Variant::Assigned,
        watched: None,
    }
}

/// The verdicts' texts: a plan, `None` for verbatim, or the refusal.
pub(super) fn verdict(text: &str, context: &Context) -> Result<Option<Arc<GuardedPlan>>, String> {
    let planned = decide(text, context).map_err(|r| format!("{r} {:?}", r.hint))?;
    match &planned.statements[0].verdict {
        Verdict::Guarded(plan) => Ok(Some(Arc::clone(plan))),
        Verdict::Verbatim => Ok(None),
        Verdict::Unattributed { reason, .. } => Err(format!("unattributed: {reason}")),
        Verdict::Refused(refusal) => Err(format!("{refusal} {:?}", refusal.hint)),
    }
}

/// Every statement must come out guarded, with break-glass grants and without.
fn all_guarded(role: &str, statements: &[&str]) {
    let mut context = session(role);
    let mut failed = Vec::new();
    for variant in [Variant::Assigned, Variant::Granted] {
        context.variant = variant;
        for text in statements {
            match verdict(text, &context) {
                Ok(Some(_)) => {}
                Ok(None) => failed.push(format!("{text}\n    verbatim")),
                Err(refusal) => failed.push(format!("{text}\n    {refusal}")),
            }
        }
    }
    let all = statements.len() * 2;
    assert!(failed.is_empty(), "{role}: {} of {all} refused\n{}", failed.len(), failed.join("\n"));
}

fn all_refused(role: &str, statements: &[&str]) {
    let context = session(role);
    let passed: Vec<_> = statements.iter().filter(|text| verdict(text, &context).is_ok()).collect();
    assert!(passed.is_empty(), "{role}: let through: {passed:#?}");
}

#[test]
fn what_a_nurse_asks_is_guarded() {
    all_guarded("nurse", COMMON);
    all_guarded(
        "nurse",
        &[
            "SELECT name FROM patient TABLESAMPLE SYSTEM (50)",
            "SELECT * FROM lab_result",
            "SELECT r.analyte, r.value FROM lab_result r WHERE r.value/2 > 3",
            "SELECT r.analyte, avg(r.value) FROM lab_result r WHERE r.value/2 > 3 GROUP BY r.analyte",
            "SELECT r.analyte, max(r.value) FROM lab_result r WHERE r.value/2 > 3 GROUP BY r.analyte HAVING max(r.value) > 2",
            "SELECT * FROM lab_result r WHERE r.value/2 > 3",
            "SELECT r FROM lab_result r WHERE r.value/2 > 3",
            "SELECT o.panel, r.value FROM lab_order o JOIN lab_result r ON r.order_id = o.order_id WHERE r.value / 2 > 3",
            "SELECT o.panel, r.value FROM lab_order o LEFT JOIN lab_result r USING (order_id) WHERE o.patient_id = 880003 + 12 * $1",
            "SELECT o.panel, r.value FROM lab_order o LEFT JOIN lab_result r ON r.order_id = o.order_id AND r.value / 2 > 3",
            "SELECT o.panel FROM lab_order o WHERE EXISTS (SELECT 1 FROM lab_result r WHERE r.order_id = o.order_id AND r.value::int > 3)",
            "SELECT analyte FROM (SELECT analyte, value FROM lab_result) s WHERE s.value / 2 > 3",
            "WITH s AS (SELECT analyte, value FROM lab_result) SELECT analyte FROM s WHERE value / 2 > 3",
            "SELECT analyte FROM lab_result WHERE value / 2 > 3 UNION ALL SELECT panel FROM lab_order",
            "SELECT p.name, r.value FROM patient p JOIN lab_order o USING (patient_id) JOIN lab_result r USING (order_id) WHERE r.value * 2 > 10 ORDER BY r.resulted_at",
            "SELECT r.analyte FROM lab_result AS r(a, b, analyte)",
            "SELECT r.analyte, rank() OVER (PARTITION BY r.analyte ORDER BY r.value / 2) FROM lab_result r",
            "SELECT order_id, count(*) FROM lab_result WHERE flag IS NOT NULL GROUP BY 1 HAVING count(*) > 1",
            "SELECT drug, dose FROM current_medication WHERE patient_id = 880003",
            "SELECT * FROM current_medication WHERE dose / 2 > 1",
            "INSERT INTO note (patient_id, author, kind, written_at, body) VALUES (880003, 'me', 'ward', now(), 'text')",
            "UPDATE note SET body = 'x' WHERE note_id = 3",
            "SELECT body FROM note WHERE patient_id = 880003 AND to_tsvector('english', body) @@ to_tsquery('english', 'pain')",
        ],
    );
}

#[test]
fn what_billing_asks_is_guarded_behind_its_masks() {
    all_guarded("billing", COMMON);
    all_guarded(
        "billing",
        &[
            "SELECT count(*) FROM patient WHERE birth_date = '1960-01-01' AND sex = 'F' HAVING count(*) > 0",
            "SELECT DISTINCT ssn FROM patient WHERE ssn = '***'",
            "SELECT DISTINCT phone FROM patient WHERE phone LIKE '%12' AND name = 'x'",
            "SELECT count(*) FROM patient WHERE phone IS NULL GROUP BY zip HAVING count(*) > 1",
        ],
    );
}

#[test]
fn what_an_analyst_and_a_dba_ask_is_guarded() {
    all_guarded("analyst", COMMON);
    all_guarded("dba", COMMON);
}

/// A session keeps such plans prepared for its simple queries. What they may not be kept for is tested with
/// `sql::constants`.
#[test]
fn plans_of_common_statements_may_be_kept() {
    let mut anew = Vec::new();
    for role in ["nurse", "billing", "analyst", "dba"] {
        let context = session(role);
        for text in COMMON {
            let Ok(Some(plan)) = verdict(text, &context) else { continue };
            if !crate::sql::constants::read_alike(&plan.text, &context.catalog, &context.namespace) {
                anew.push(format!("{role}: {text}\n    {}", plan.text));
            }
        }
    }
    assert!(anew.is_empty(), "{}:\n{}", anew.len(), anew.join("\n"));
}

/// Every word that the rewriter's parser has a use for, wherever PostgreSQL reads a name.
#[test]
fn any_word_that_postgresql_allows_is_a_name() {
    use sqlparser::keywords::{
        RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS,
        RESERVED_FOR_TABLE_FACTOR,
    };
    let context = session("nurse");
    let lists = [
        RESERVED_FOR_COLUMN_ALIAS,
        RESERVED_FOR_IDENTIFIER,
        RESERVED_FOR_TABLE_ALIAS,
        RESERVED_FOR_TABLE_FACTOR,
    ];
    let reserved = lists.into_iter().flatten().map(|k| k.to_string().to_lowercase());
    let more =
        ["recursive", "cube", "rollup", "grouping", "match", "statement", "date", "year", "value", "key"];
    let (mut read, mut failed) = (0, Vec::new());
    for word in reserved.chain(more.map(str::to_owned)) {
        for form in [
            "SELECT @.name FROM patient @ WHERE @.sex = 'F'",
            "SELECT @.name, @ FROM patient AS @ JOIN encounter e USING (patient_id) WHERE 10 / e.charge > 1",
            "SELECT @ FROM patient p (@) GROUP BY @ ORDER BY @",
            "SELECT x.@ FROM (SELECT name @, sex FROM patient) x, (SELECT kind AS @ FROM encounter) y",
            "WITH @ AS (SELECT name FROM patient) SELECT name FROM @",
            "SELECT rank() OVER (@) FROM patient WINDOW @ AS (ORDER BY name)",
            "SELECT name FROM patient p LEFT JOIN encounter @ ON p.patient_id = @.patient_id",
            "INSERT INTO note AS @ (patient_id, body) VALUES (880003, 'x') RETURNING body @",
            "UPDATE note @ SET body = 'x' WHERE @.kind = 'x'",
            "DELETE FROM note USING encounter @ WHERE @.patient_id = note.patient_id",
        ] {
            let text = form.replace('@', &word);
            if pg_query::parse(&text, 0).is_ok() {
                read += 1;
                if let Err(refusal) = verdict(&text, &context) {
                    failed.push(format!("{text}\n    {refusal}"));
                }
            }
        }
    }
    assert!(read > 400, "{read}");
    assert!(failed.is_empty(), "{} of {read} refused\n{}", failed.len(), failed.join("\n"));
}

/// Forms that the rewriter's grammar does not have, or reads otherwise.
#[test]
fn forms_of_postgresql_alone_are_guarded() {
    all_guarded(
        "nurse",
        &[
            "SELECT - - patient_id, - @ patient_id, - ~ patient_id, @ - patient_id FROM patient",
            "SELECT name FROM patient UNION TABLE ward",
            "SELECT name FROM patient p WHERE EXISTS (TABLE encounter)",
            "INSERT INTO note TABLE note",
            "INSERT INTO patient OVERRIDING SYSTEM VALUE VALUES (880003, 'x')",
            "INSERT INTO clinic.patient AS p OVERRIDING USER VALUE SELECT * FROM patient",
            "INSERT INTO patient OVERRIDING SYSTEM VALUE SELECT 880003, 'x' ON CONFLICT DO NOTHING",
            "INSERT INTO patient (patient_id, name) SELECT 880003, $1 ON CONFLICT (patient_id) DO UPDATE SET name = excluded.name",
            "INSERT INTO patient (patient_id, name) WITH x AS (SELECT 1) SELECT 880003, 'x' ON CONFLICT DO NOTHING",
            "UPDATE patient SET name[1] = 'x', sex = 'F' WHERE sex[1] = 'x'",
            "UPDATE patient SET name[$1] = $2, sex = $1::text WHERE patient_id = $3",
            "UPDATE patient SET name[1:$1] = $2, sex['l'][$4] = '5' WHERE patient_id = $3 RETURNING name[$1]",
            "UPDATE patient SET sex = 'F', name[2][3] = upper(name[1]), zip[1:2] = zip[2:3] FROM encounter e \
             WHERE e.patient_id = patient.patient_id AND name[1] = 'x' RETURNING name[1]",
            "INSERT INTO problem (patient_id, icd10, title) VALUES ($1, $2, $3) ON CONFLICT (patient_id, icd10) DO NOTHING",
            "INSERT INTO problem (patient_id, icd10, title) VALUES ($1, $2, $3), ($4, $5, $6) ON CONFLICT (patient_id, icd10) DO NOTHING",
            "INSERT INTO problem (patient_id, icd10, title) VALUES ($1, $2, $3) ON CONFLICT (patient_id, icd10) DO UPDATE SET title = $3, patient_id = excluded.patient_id",
            "INSERT INTO problem (patient_id, icd10, title) VALUES ($1, $2, $3) ON CONFLICT (patient_id, icd10) DO UPDATE SET title = 'x' WHERE problem.status = 'active'",
            "INSERT INTO problem (patient_id, icd10, title) SELECT $1, $2, $3 ON CONFLICT (patient_id, icd10) DO NOTHING",
            "INSERT INTO patient (patient_id, name) VALUES (880003, 'x') ON CONFLICT (patient_id) DO UPDATE SET name[1] = 'x' WHERE patient.name = 'a'",
            "SELECT name FROM patient WHERE name LIKE ALL (SELECT kind FROM encounter) AND name NOT ILIKE ANY (SELECT kind FROM encounter)",
            "SELECT name FROM patient WHERE ARRAY[name] <@ ANY (SELECT ARRAY[kind] FROM encounter) OR ARRAY[sex] && ALL ($1)",
            "SELECT name FROM patient WHERE name OPERATOR(pg_catalog.=) ANY (ARRAY['x'])",
            "SELECT name FROM patient WHERE sex = ANY (VALUES ('F'), ('M')) AND zip <> ALL (VALUES ('1'), (lower(name)) ORDER BY 1)",
            "SELECT name FROM patient WHERE 100 / length(name) = ANY (VALUES (1), (2)) AND EXISTS (SELECT FROM note WHERE kind LIKE ANY (VALUES ('a'), ($1)))",
            "SELECT name FROM patient WHERE patient_id IN ((SELECT 1), (SELECT max(patient_id) FROM encounter), 4)",
            "SELECT name FROM patient WHERE name *= 'x' AND name === 'y' AND name OPERATOR(pg_catalog.*<>) 'z' ORDER BY name USING *<",
            "SELECT name FROM patient, json_to_record('{}') AS (a int, b text) WHERE 100 / length(name) > 3",
            "SELECT p.name, x.t FROM ROWS FROM (unnest($1), unnest($2)) AS x (id, t) JOIN patient p ON p.patient_id = x.id",
            "SELECT p.name, x.n FROM ROWS FROM (unnest($1::int8[]), unnest($2::text[])) WITH ORDINALITY AS x (id, t, n) \
             JOIN patient p ON p.patient_id = x.id WHERE p.sex = $3 AND 100 / length(p.name) > 3",
            "SELECT name FROM patient p, ROWS FROM (generate_series(1, $1), unnest($2::text[])) x WHERE p.patient_id = $1",
            "UPDATE encounter e SET kind = x.k FROM ROWS FROM (unnest($1::int8[]), unnest($2::text[])) AS x (id, k) WHERE e.encounter_id = x.id",
            "SELECT name::xml IS DOCUMENT, name::xml IS NOT DOCUMENT FROM patient",
        ],
    );
}

/// Rows that are locked keep their place, and no fence stands around their block.
#[test]
fn lists_of_locked_rows_may_hold_what_could_fail() {
    all_guarded(
        "nurse",
        &[
            "SELECT e.kind, e.charge * 2 FROM encounter e WHERE EXISTS (SELECT 1 FROM note n WHERE n.encounter_id = e.encounter_id) FOR UPDATE",
            "SELECT e.encounter_id, e.ward_id * 2 FROM encounter e WHERE e.patient_id IN (SELECT p.patient_id FROM patient p WHERE p.sex = 'F') \
             FOR NO KEY UPDATE SKIP LOCKED",
            "SELECT e.kind, to_char(now(), 'YYYY')::int FROM encounter e WHERE e.charge > (SELECT r.value FROM lab_result r WHERE r.result_id = 1) \
             FOR UPDATE",
            "SELECT e.ward_id * 2, p.name FROM encounter e JOIN patient p USING (patient_id) WHERE NOT EXISTS (SELECT FROM note n \
             WHERE n.encounter_id = e.encounter_id AND 1000 / length(n.body) > 9) AND 10 / e.ward_id > 0 FOR SHARE OF e NOWAIT",
            "SELECT e.kind, e.ward_id * 2 AS d FROM encounter e WHERE EXISTS (SELECT 1 FROM note n WHERE n.encounter_id = e.encounter_id) \
             ORDER BY e.admitted_at, e.encounter_id FOR UPDATE",
            "SELECT e.kind, e.ward_id * 2 AS d FROM encounter e WHERE EXISTS (SELECT 1 FROM note n WHERE n.encounter_id = e.encounter_id) \
             ORDER BY e.admitted_at LIMIT 3 FOR UPDATE",
            "SELECT e.kind, e.ward_id * 2 AS d, (SELECT count(*) FROM note n WHERE n.encounter_id = e.encounter_id) FROM encounter e FOR UPDATE",
            "WITH q AS (SELECT e.encounter_id, e.ward_id * 2 AS d FROM encounter e WHERE EXISTS (SELECT 1 FROM note n \
             WHERE n.encounter_id = e.encounter_id) FOR UPDATE SKIP LOCKED) SELECT * FROM q WHERE d > 3",
            "WITH q AS (SELECT e.encounter_id, e.ward_id * 2 AS d FROM encounter e FOR UPDATE SKIP LOCKED) SELECT * FROM q WHERE d > 3",
            "SELECT count(*) FROM (SELECT e.encounter_id, e.ward_id * 2 AS d FROM encounter e WHERE EXISTS (SELECT 1 FROM note n \
             WHERE n.encounter_id = e.encounter_id) FOR UPDATE) q",
            "SELECT q.d FROM (SELECT e.encounter_id, e.ward_id * 2 AS d FROM encounter e FOR UPDATE) q",
            "SELECT q.d FROM (SELECT e.encounter_id, e.ward_id * 2 AS d FROM encounter e FOR UPDATE) q WHERE q.d > 3",
            "WITH q AS (SELECT e.encounter_id, e.ward_id * 2 AS d FROM encounter e WHERE EXISTS (SELECT 1 FROM note n \
             WHERE n.encounter_id = e.encounter_id) FOR UPDATE SKIP LOCKED) UPDATE encounter t SET charge = q.d FROM q \
             WHERE t.encounter_id = q.encounter_id RETURNING t.*",
            "INSERT INTO problem (patient_id, title) SELECT e.patient_id, (e.ward_id * 2)::text FROM encounter e WHERE EXISTS (SELECT 1 \
             FROM note n WHERE n.encounter_id = e.encounter_id) FOR UPDATE",
        ],
    );
}

/// An aggregate inside a subquery may belong to the block around it, which then merges rows.
#[test]
fn keys_are_carried_beside_aggregates_of_subqueries_alone() {
    let context = session("nurse");
    for (text, strategy) in [
        ("SELECT (SELECT max(e.charge)) FROM encounter e", Strategy::Bound),
        (
            "SELECT (SELECT count(e.encounter_id) FROM ward w WHERE w.ward_id = 1) FROM encounter e",
            Strategy::Bound,
        ),
        ("SELECT (SELECT max(charge) FROM ward) FROM encounter", Strategy::Bound),
        ("SELECT (SELECT sum(x + e.charge) FROM unnest('{1}'::int[]) x) FROM encounter e", Strategy::Carried),
        (
            "SELECT (SELECT count(*) FILTER (WHERE e.charge > 1) FROM ward w) FROM encounter e",
            Strategy::Bound,
        ),
        ("SELECT 1 FROM encounter e ORDER BY (SELECT max(e.charge))", Strategy::Bound),
        ("SELECT x.m FROM (SELECT (SELECT max(e.charge)) AS m FROM encounter e) x", Strategy::Bound),
        (
            "SELECT (SELECT max((SELECT w.floor + e.charge FROM ward w LIMIT 1)) FROM ward w) FROM encounter e",
            Strategy::Bound,
        ),
        ("SELECT (SELECT q.m FROM (SELECT max(e.charge) AS m) q) FROM encounter e", Strategy::Bound),
        ("SELECT kind, (SELECT max(e.charge) FROM ward w) FROM encounter e GROUP BY kind", Strategy::Carried),
        (
            "SELECT (SELECT count(*) FROM ward w WHERE w.ward_id = e.ward_id) FROM encounter e",
            Strategy::Carried,
        ),
        ("SELECT (SELECT max(w.floor + e.charge) FROM ward w) FROM encounter e", Strategy::Carried),
        (
            "SELECT (SELECT max(name) FROM ward), (SELECT max(n) FROM (SELECT name AS n FROM ward) q) FROM patient",
            Strategy::Carried,
        ),
        ("SELECT (SELECT string_agg(value, ',') FROM json_each_text('{}')) FROM patient", Strategy::Carried),
        ("WITH w AS (SELECT 1 AS a) SELECT (SELECT max(a) FROM w) FROM patient", Strategy::Carried),
    ] {
        let plan = verdict(text, &context).unwrap_or_else(|e| panic!("{text}: {e}")).expect("guarded");
        assert_eq!(plan.lineage.strategy, strategy, "{text}");
    }
    let pinned = "SELECT (SELECT max(p.name)) FROM patient p WHERE patient_id = 880003";
    let plan = verdict(pinned, &context).expect("accepted").expect("guarded");
    assert!(!plan.rows_show_pins, "a row comes also where the patient has none");
}

/// What a subquery reads of the patient whose row stands around it is told with that row, however it is used; not where
/// other patients' rows can matter to it.
#[test]
fn rows_of_the_patient_around_are_told_by_the_row_around() {
    for role in ["nurse", "dba"] {
        let context = session(role);
        let strategy = |text: &str| {
            let plan = verdict(text, &context).unwrap_or_else(|e| panic!("{text}: {e}")).expect("guarded");
            plan.lineage.strategy
        };
        for told in [
            "SELECT (SELECT max(e.charge) FROM encounter e WHERE e.patient_id = p.patient_id) FROM patient p",
            "SELECT name FROM patient p WHERE NOT EXISTS (SELECT 1 FROM problem q WHERE p.patient_id = q.patient_id)",
            "SELECT count(*) FROM patient p WHERE (SELECT count(*) FROM problem q WHERE q.patient_id = p.patient_id) > 3",
            "SELECT name FROM patient p WHERE patient_id IN (SELECT patient_id FROM problem WHERE icd10 LIKE 'E11%')",
            "SELECT name FROM patient p WHERE p.patient_id NOT IN (SELECT q.patient_id FROM problem q)",
            "SELECT name FROM patient p WHERE p.patient_id = ANY (SELECT patient_id FROM problem GROUP BY patient_id HAVING count(*) > 2)",
            "SELECT name FROM patient p WHERE (p.patient_id, 'x') IN (SELECT DISTINCT patient_id, icd10 FROM problem)",
            // Over the step by which a row is mapped to its patient, within the subquery and to the row around.
            "SELECT o.order_id, (SELECT count(*) FROM lab_result r WHERE r.order_id = o.order_id) FROM lab_order o",
            "SELECT name FROM patient p WHERE EXISTS (SELECT 1 FROM lab_result r JOIN lab_order o USING (order_id) WHERE o.patient_id = p.patient_id)",
            "SELECT name FROM patient p WHERE patient_id IN (SELECT o.patient_id FROM lab_result r JOIN lab_order o ON o.order_id = r.order_id WHERE r.value > 3)",
            "SELECT p.name, x.* FROM patient p LEFT JOIN LATERAL (SELECT e.kind FROM encounter e WHERE e.patient_id = p.patient_id ORDER BY admitted_at DESC LIMIT 1) x ON true",
            "SELECT name FROM patient p WHERE EXISTS (SELECT 1 FROM encounter e WHERE e.patient_id = p.patient_id AND e.charge > (SELECT avg(f.charge) FROM encounter f WHERE f.patient_id = e.patient_id))",
        ] {
            assert_eq!(strategy(told), Strategy::Carried, "{told}");
        }
        for not_told in [
            "SELECT (SELECT max(e.charge) FROM encounter e WHERE e.patient_id > p.patient_id) FROM patient p",
            "SELECT (SELECT max(e.charge) FROM encounter e WHERE e.patient_id = p.patient_id OR e.charge > 3) FROM patient p",
            "SELECT (SELECT max(e.charge) FROM encounter e WHERE e.charge = p.patient_id) FROM patient p",
            "SELECT (SELECT max(e.charge) FROM encounter e LEFT JOIN problem q ON q.patient_id = p.patient_id) FROM patient p",
            "SELECT (SELECT count(*) FROM ward w LEFT JOIN encounter e ON true WHERE e.patient_id = p.patient_id OR e.patient_id IS NULL) FROM patient p",
            "SELECT (SELECT count(*) FROM lab_result r JOIN lab_order o ON r.order_id > o.order_id WHERE o.patient_id = p.patient_id) FROM patient p",
            "SELECT e.kind, (SELECT count(*) FROM note n WHERE n.encounter_id = e.encounter_id) FROM encounter e",
            "SELECT name FROM patient p WHERE patient_id IN (SELECT patient_id FROM problem ORDER BY onset LIMIT 3)",
            "SELECT name FROM patient p WHERE patient_id IN (SELECT DISTINCT ON (icd10) patient_id FROM problem ORDER BY icd10)",
            "SELECT name FROM patient p WHERE patient_id NOT IN (SELECT patient_id FROM problem GROUP BY ROLLUP (patient_id))",
            "SELECT name FROM patient p WHERE patient_id NOT IN (SELECT e.patient_id FROM ward w LEFT JOIN encounter e USING (ward_id))",
            "SELECT name FROM patient p WHERE patient_id IN (SELECT max(patient_id) FROM problem)",
            "SELECT name FROM patient p WHERE (p.patient_id, 4) IN (SELECT q.patient_id, rank() OVER (ORDER BY q.patient_id) FROM problem q)",
            "SELECT name FROM patient p WHERE (p.patient_id, 4) NOT IN (SELECT q.patient_id, sum(count(*)) OVER w FROM problem q GROUP BY 1 WINDOW w AS ())",
            "SELECT name FROM patient p WHERE patient_id > ANY (SELECT patient_id FROM problem)",
            "SELECT name FROM patient p WHERE patient_id IN (SELECT patient_id FROM problem UNION SELECT 1)",
            "SELECT w.name, (SELECT count(*) FROM problem q WHERE q.patient_id = w.ward_id) FROM ward w",
            "SELECT w.name FROM ward w LEFT JOIN encounter e USING (ward_id) WHERE NOT EXISTS (SELECT 1 FROM problem q WHERE q.patient_id = e.patient_id)",
            "SELECT w.name, x.n FROM ward w LEFT JOIN encounter e USING (ward_id) LEFT JOIN LATERAL (SELECT count(*) AS n FROM problem q WHERE q.patient_id = e.patient_id) x ON true WHERE x.n = 0",
        ] {
            assert_eq!(strategy(not_told), Strategy::Bound, "{not_told}");
        }
    }
}

#[test]
fn what_no_restricted_role_may_ask_is_refused() {
    for role in ["nurse", "billing"] {
        all_refused(
            role,
            &[
                "SELECT * FROM glass.assigned",
                "CREATE TABLE x AS SELECT * FROM patient",
                "CREATE TEMP TABLE x AS SELECT * FROM patient",
                "SELECT * INTO TEMP x FROM patient",
                "EXPLAIN SELECT * FROM patient",
                "COPY patient TO PROGRAM 'cat'",
                "SELECT ctid FROM patient",
                "SELECT query_to_xml('SELECT * FROM clinic.patient', true, false, '')",
                "SELECT __glass_x FROM patient",
                "SELECT name FROM patient FOR UPDATE OF \"__glass_q\"",
                "WITH assigned AS (SELECT 'me' AS user_name, patient_id FROM glass.assigned) SELECT * FROM assigned",
                "DO 'BEGIN END'",
                "SELECT name FROM patient WHERE patient_id = $65535",
            ],
        );
    }
}

/// No place is right for TABLESAMPLE of a table that is masked; what is offered instead is answered.
#[test]
fn some_rows_of_a_masked_table_are_taken_by_chance_and_not_by_tablesample() {
    let billing = session("billing");
    for text in [
        "SELECT count(*) FROM clinic.patient TABLESAMPLE SYSTEM (10)",
        "SELECT name FROM (SELECT * FROM clinic.patient TABLESAMPLE BERNOULLI (10)) p",
    ] {
        let refusal = decide(text, &billing).expect(text).refusal().expect(text);
        let hint = refusal.hint.unwrap_or_default();
        assert!(hint.contains("random() < 0.01") && !hint.contains("subquery"), "{text}: {hint}");
    }
    for text in [
        "SELECT count(*) FROM clinic.patient WHERE random() < 0.01",
        "SELECT name, ssn FROM clinic.patient ORDER BY random() LIMIT 100",
        "SELECT name FROM (SELECT * FROM clinic.patient ORDER BY random() LIMIT 100) p",
    ] {
        assert_eq!(decide(text, &billing).expect(text).refusal(), None, "{text}");
    }
}

/// A role with both: rows of assigned patients only, and masks.
#[test]
fn filter_and_masks_together_are_guarded() {
    let mut context = session("nurse");
    let masks = session("billing").role.masks.clone();
    Arc::get_mut(&mut context.role).expect("one owner").masks = masks;
    let fenced = ["SELECT name FROM patient WHERE sex = 'F' AND 100 / length(name) > 3 AND phone LIKE '%1'"];
    for text in COMMON.iter().chain(&fenced) {
        let plan = verdict(text, &context).unwrap_or_else(|e| panic!("{text}\n    {e}")).expect("a plan");
        assert!(plan.filtered, "{text}");
    }
}

#[test]
fn a_bound_of_a_masked_table_reads_no_masked_column() {
    let context = session("billing");
    for (text, kept, dropped) in [
        (
            "SELECT DISTINCT name FROM patient WHERE sex = 'F' AND ssn = '1'",
            "__glass_r1\".sex = 'F'",
            "ssn = '1'",
        ),
        (
            "SELECT DISTINCT name FROM patient WHERE sex = 'F' AND phone LIKE '%1'",
            "sex = 'F'",
            "\"__glass_r1\".\"phone\"",
        ),
        (
            "SELECT DISTINCT name FROM patient WHERE sex = 'F' AND birth_date > '2000-01-01'",
            "sex = 'F'",
            "r1\".\"birth_date\" >",
        ),
    ] {
        let plan = verdict(text, &context).expect("accepted").expect("guarded");
        let bound = plan.text.split("AS __glass_w").next().expect("a bound").replace('"', "");
        assert!(bound.contains(&kept.replace('"', "")), "{bound}");
        assert!(!bound.contains(&dropped.replace('"', "")), "{bound}");
    }
}

#[test]
fn set_config_is_set_by_another_name() {
    let mut context = session("nurse");
    for text in [
        "SELECT set_config('jit', 'off', false)",
        "SELECT pg_catalog.set_config('statement_timeout', '1s', true)",
        "SELECT set_config('client_encoding', 'utf-8', false)",
        "SELECT set_config('search_path', '', false)",
        "SET client_encoding TO 'UNICODE'",
        "SET NAMES 'utf-8'",
        "SELECT pg_partition_ancestors('1'), inet_server_addr(), inet_server_port(), inet_client_port()",
    ] {
        assert_eq!(verdict(text, &context), Ok(None), "{text}");
    }
    all_refused(
        "nurse",
        &[
            "SELECT set_config('role', 'dba', false)",
            "SELECT set_config('ROW_SECURITY', 'off', false)",
            "SELECT set_config('client_encoding', 'latin1', false)",
            "SELECT set_config('standard_conforming_strings', 'off', false)",
            "SELECT set_config('j' || 'it', 'off', false)",
            "SELECT set_config('role', $1, false)",
            "SELECT set_config('client_encoding', $1, false)",
            "SELECT set_config($1, 'off', false)",
            "SELECT set_config('app.x', name, false) FROM patient",
            "SELECT set_config($1, 'off', false)",
            "SELECT set_config('jit', 'off', is_local => false)",
            "SELECT set_config('jit', 'off', name = 'x') FROM patient",
            "SELECT glass.set_config('jit', 'off', false)",
            "SET client_encoding TO 'latin1'",
            "SELECT pg_relation_filenode('clinic.patient') FROM pg_stat_user_tables",
        ],
    );
    // However it is spelled, what follows in the same message is held back.
    for name in ["set_config", "pg_catalog.SET_CONFIG", "U&\"set\\005fconfig\""] {
        let text = format!("SELECT {name}('search_path', 'x', false); SELECT * FROM patient");
        let planned = decide(&text, &context).expect("parses");
        assert!(planned.statements[0].effects.changes_namespace, "{name}");
        assert!(planned.refusal().is_some(), "{name}");
    }
    let own = crate::catalog::Function {
        oid: 90_000,
        schema: "public".into(),
        args: vec![25, 25, 16],
        result: 25,
        leakproof: false,
        volatility: 'v',
        kind: 'f',
        unary: false,
        takes_row: false,
    };
    let mut catalog = (*context.catalog).clone();
    catalog.functions.insert("set_config".into(), vec![own]);
    context.catalog = Arc::new(catalog);
    assert!(verdict("SELECT set_config('jit', 'off', false)", &context).is_err(), "might be somebody's own");
}

#[test]
fn refusals_say_what_it_is_and_what_to_do() {
    let context = session("nurse");
    for (text, expected) in [
        ("CREATE TEMP TABLE x AS SELECT * FROM patient", "CREATE TABLE AS copies protected rows"),
        ("SELECT name FROM patient WHERE patient_id = $65535", "parameter $65535"),
        ("SELECT * FROM patient WHERE patient_id = $65501", "parameter $65501"),
    ] {
        let refusal = verdict(text, &context).expect_err(text);
        assert!(refusal.contains(expected), "{text}\n    {refusal}");
    }
    assert!(verdict("SELECT * FROM patient WHERE patient_id = $65500", &context).is_ok());
    let deep = |n| format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n));
    assert_eq!(verdict(&deep(60), &context), Ok(None));
    let refusal = verdict(&deep(900), &context).expect_err("too deep");
    assert!(refusal.contains("WITH queries one after another"), "{refusal}");
}

/// However deep a text is, it is decided or refused, on a thread with little stack, in time.
#[test]
fn depth_is_answered_and_never_a_crash() {
    let forms: [(&str, &str, &str, &str); 18] = [
        ("SELECT name FROM patient WHERE ", "(", "sex = 'F'", ")"),
        ("SELECT name FROM patient WHERE ", "NOT ", "sex = 'F'", ""),
        ("SELECT name FROM patient WHERE ", "(sex = 'F' AND (sex = 'M' OR ", "sex = 'F'", "))"),
        ("SELECT ", "(SELECT ", "name FROM patient", ")"),
        ("SELECT name FROM ", "(SELECT name FROM ", "patient", ") x"),
        (
            "SELECT name FROM patient WHERE patient_id IN ",
            "(SELECT patient_id FROM note WHERE patient_id IN ",
            "(1)",
            ")",
        ),
        (
            "SELECT name FROM patient p WHERE ",
            "EXISTS (SELECT FROM note n WHERE n.patient_id = p.patient_id AND ",
            "true",
            ")",
        ),
        ("SELECT name", "::text", " FROM patient", ""),
        ("SELECT ", "ARRAY[", "name", "] FROM patient"),
        ("SELECT ", "CASE WHEN sex = 'F' THEN ", "name", " END"),
        ("SELECT p.name FROM patient p", " JOIN patient q USING (patient_id)", "", ""),
        ("SELECT name FROM patient", " UNION ALL SELECT name FROM patient", "", ""),
        ("SELECT name", " || 'x'", " FROM patient", ""),
        ("SELECT patient_id", " + 1", " FROM patient WHERE 1 / patient_id = 1", ""),
        ("SELECT ", "coalesce(", "name", ", 'x') "),
        ("SELECT ", "nullif(", "name", ", 'x') "),
        ("SELECT ", "- ", "1 FROM patient", ""),
        ("SELECT * FROM ", "(", "patient", ")"),
    ];
    let run = move || {
        let context = session("nurse");
        let (mut planned, mut slowest) = (0, std::time::Duration::ZERO);
        for (head, open, middle, close) in forms {
            for n in [1, 40, 150, 10_000] {
                let text = format!("{head}{}{middle}{}", open.repeat(n), close.repeat(n));
                let start = std::time::Instant::now();
                let decided = decide(&text, &context);
                planned += usize::from(decided.is_ok_and(|p| p.refusal().is_none()));
                slowest = slowest.max(start.elapsed());
            }
        }
        (planned, slowest)
    };
    let thread = std::thread::Builder::new().stack_size(768 << 10).spawn(run).expect("a thread");
    let (planned, slowest) = thread.join().expect("no panic");
    assert!(planned >= 30, "{planned}");
    assert!(slowest.as_secs() < 30, "{slowest:?}");
}

/// Time grows with the length of a list, not with its square. Run by hand: `--ignored`.
#[test]
#[ignore = "a measurement"]
fn long_lists_take_linear_time() {
    let context = session("nurse");
    for n in [5_000, 50_000] {
        let list: Vec<String> = (0..n).map(|i| (880_000 + i).to_string()).collect();
        let params: Vec<String> = (1..=n.min(60_000)).map(|i| format!("${i}")).collect();
        for text in [
            format!("SELECT name FROM patient WHERE patient_id IN ({})", list.join(",")),
            format!("SELECT name FROM patient WHERE mrn IN ('{}')", list.join("','")),
            format!("SELECT name FROM patient WHERE patient_id IN ({})", params.join(",")),
            format!("SELECT DISTINCT name FROM patient WHERE patient_id = ANY (ARRAY[{}])", list.join(",")),
            format!("SELECT name FROM patient WHERE sex = 'F' AND greatest({}) > patient_id", list.join(",")),
            format!("SELECT r.value FROM lab_result r WHERE r.value / 2 IN ({})", list.join(",")),
            format!("SELECT * FROM (VALUES ({})) v(x)", list.join("),(")),
            format!("SELECT * FROM patient JOIN (VALUES ({})) v(x) ON v.x = patient_id", list.join("),(")),
        ] {
            let start = std::time::Instant::now();
            let verdict = verdict(&text, &context).map(|p| p.is_some());
            println!("{n:>6} {:>10.1?} {verdict:?} {}", start.elapsed(), &text[..60.min(text.len())]);
        }
    }
}

/// Memory of a text of nothing but short rows. Run by hand: `--ignored`, alone.
#[test]
#[ignore = "a measurement"]
fn a_text_of_short_rows_takes_bounded_memory() {
    let context = session("nurse");
    let text = format!("VALUES (1){}", ",(1)".repeat(250_000));
    let start = std::time::Instant::now();
    let verdict = verdict(&text, &context).map(|p| p.is_some());
    let status = std::fs::read_to_string("/proc/self/status").expect("linux");
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    println!("{} bytes: {:?} {verdict:?} {peak}", text.len(), start.elapsed());
}

/// A join that needs a fence keeps its indexes.
#[test]
fn a_fence_stands_around_a_block_where_it_can() {
    let nurse = session("nurse");
    let fences = |text: &str| {
        let plan = verdict(text, &nurse).expect(text).expect(text);
        (plan.text.matches("OFFSET 0").count(), plan.text.clone())
    };
    for text in [
        "SELECT p.name FROM patient p JOIN note n ON n.patient_id = p.patient_id WHERE p.mrn = 'M' AND 100 / length(n.body) > 3",
        "SELECT * FROM patient p, note n WHERE n.patient_id = p.patient_id AND p.zip = $1 AND 100 / length(n.body) > 3",
        "SELECT p.name, count(*) FROM patient p JOIN note n ON n.patient_id = p.patient_id AND 1 / n.note_id = 0, ward w \
         WHERE w.ward_id = 1 GROUP BY p.name ORDER BY 2",
    ] {
        let (count, plan) = fences(text);
        assert!(count == 1 && plan.contains("__glass_f1"), "{plan}");
    }
    for text in [
        "SELECT p.name FROM patient p LEFT JOIN note n ON n.patient_id = p.patient_id WHERE p.patient_id = $1 AND 100 / length(p.name) > 3",
        "SELECT p.name FROM patient p JOIN note n USING (patient_id) WHERE p.patient_id = $1 AND 100 / length(p.name) > 3",
    ] {
        let (count, plan) = fences(text);
        assert_eq!(count, 2, "{plan}");
        // The key that one is looked up by is the other's, too.
        assert_eq!(plan.matches("(\"__glass_r1\".\"patient_id\" = $1)").count(), 2, "{plan}");
    }
}

/// The rewriter's parser reads `ONLY patient` as a table called ONLY. Nobody's patients would be
/// recorded, as exact, if that went unnoticed.
#[test]
fn a_table_behind_only_is_seen() {
    for role in ["dba", "nurse", "billing"] {
        let context = session(role);
        for text in [
            "SELECT mrn FROM ONLY patient",
            "SELECT p.mrn FROM ONLY (patient) AS p, patient q",
            "SELECT mrn FROM ONLY clinic.patient",
            "SELECT 1 FROM appointment e, ONLY patient",
            "SELECT p.mrn FROM ONLY clinic.patient p WHERE 1 / p.patient_id = 0",
        ] {
            let plan = verdict(text, &context).expect(text).expect(text);
            assert!(plan.text.contains("ONLY \"clinic\".\"patient\""), "{role}: {}", plan.text);
            assert!(plan.footprint.relations.contains(&"clinic.patient".to_owned()), "{role}: {text}");
        }
    }
    for text in ["UPDATE ONLY patient SET name = 'x'", "DELETE FROM ONLY patient"] {
        let plan = verdict(text, &session("dba")).expect(text).expect(text);
        assert!(plan.text.contains("ONLY \"clinic\".\"patient\""), "{}", plan.text);
    }
}

#[test]
fn what_a_pool_sends_to_clean_a_connection_goes_through() {
    let context = session("nurse");
    for text in [
        "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP",
        "DISCARD SEQUENCES; DISCARD TEMP; DISCARD PLANS",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
        "RESET ALL; SELECT 1 + 1",
        "SET search_path TO other; SELECT count(*) FROM clinic.patient p WHERE lower(p.name) = 'x'",
    ] {
        let planned = decide(text, &context).unwrap();
        assert!(planned.refusal().is_none(), "{text}: {:?}", planned.refusal());
    }
    // What names something may mean something else by then: also a relation that is not there yet.
    for text in [
        "SET search_path TO clinic; SELECT count(*) FROM ward",
        "SET search_path TO clinic; SELECT count(*) FROM ward_that_only_clinic_has",
        "RESET ALL; SELECT count(*) FROM clinic.patient, ward",
        "CREATE TEMP TABLE t (a int); SELECT count(*) FROM clinic.patient",
        "RESET ALL; SELECT 'a'::t",
    ] {
        let refusal = decide(text, &context).unwrap().refusal().expect(text);
        assert!(refusal.message.contains("follows"), "{text}: {refusal}");
    }
}

/// What was decided for one text is decided for another that has other constants only when it is what would have been
/// decided for that one.
#[test]
fn texts_with_other_constants_are_decided_as_by_themselves() {
    let own = [
        "SELECT name FROM ward WHERE ward_id = 3",
        "  SELECT name FROM ward WHERE ward_id = 3 ;",
        "SELECT w.name FROM ward w WHERE w.ward_id BETWEEN 2 AND 3 AND w.name <> 'x' LIMIT 2",
        "UPDATE ward SET name = 'x' WHERE ward_id = 3",
        "INSERT INTO ward VALUES (3, 'x')",
        "SELECT count(*) FROM ward WHERE ward_id = 3 AND name LIKE '%x'",
        "SELECT name FROM ward WHERE ward_id = 3; SELECT name FROM ward WHERE ward_id = 4",
        "SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
        "SELECT set_config(name, 'view', false) FROM pg_catalog.pg_settings WHERE name = 'search_path'",
        "SELECT nextval('x') + 3 FROM ward WHERE ward_id = 3",
        "SELECT name FROM patient WHERE patient_id = 880003",
        "SELECT name FROM nowhere WHERE id = 3",
        "SET search_path = 'clinic'",
        "SELECT setting FROM pg_settings WHERE name = 'search_path'",
        "SELECT * FROM pg_stats WHERE tablename = 'patient'",
        "SELECT relname FROM pg_class WHERE oid = '16400' AND relnamespace = 3",
    ];
    let mut templates = 0;
    for role in ["nurse", "billing", "analyst", "dba"] {
        let context = session(role);
        let plans = Plans::default();
        for text in own.iter().chain(COMMON) {
            let _ = plans.decide(text, &context, Form::Prepared(&[]));
            let Some(other) = crate::sql::template::skeleton(text).and_then(|s| s.with_others(text)) else {
                continue;
            };
            templates += usize::from(plans.has_template(text));
            assert!(!(plans.has_template(text) && text.contains("set_config")), "{text}");
            let kept = plans.decide(&other, &context, Form::Prepared(&[])).map(|planned| (*planned).clone());
            assert_eq!(
                kept.map_err(|r| r.message),
                decide(&other, &context).map_err(|r| r.message),
                "{role}: {other}"
            );
        }
    }
    assert!(templates >= 20, "{templates} texts had another whose decision was known");
}

#[test]
fn union_all_of_many_arms_takes_linear_room() {
    let cx = session("nurse");
    let length = |arms: usize| {
        let text = vec!["SELECT patient_id AS q FROM clinic.patient"; arms].join(" UNION ALL ");
        verdict(&text, &cx).expect("guarded").expect("a plan").text.len()
    };
    let (few, many) = (length(20), length(120));
    assert!(many < few * 7, "{few} and {many}");
    // A set and a key do not stand in one column.
    let mixed = "SELECT encounter_id FROM clinic.encounter UNION ALL SELECT order_id FROM clinic.lab_result UNION ALL SELECT 1";
    assert!(verdict(mixed, &cx).is_ok_and(|plan| plan.is_some()));
}
