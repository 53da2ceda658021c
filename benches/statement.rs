//! What deciding one statement costs: parse, plan and check (a cache miss), and finding the plan
//! again (a cache hit). No server, no wire; the server's own planning is not in it.

#![allow(missing_docs)] // criterion's macros make undocumented items

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use pgglass::catalog::{Catalog, Column, Namespace, QualifiedName, Relation, RelationKind};
use pgglass::policy::{
    Assignment, BoundPolicy, KeyPath, KeyType, Membership, Outside, Policy, Role, Scope, Step, TableRule,
    Variant,
};
use pgglass::sql::cache::{Form, Plans};
use pgglass::sql::planner::{Context, decide};

fn name(schema: &str, name: &str) -> QualifiedName {
    QualifiedName::new(schema, name)
}

fn relation(oid: u32, relation: QualifiedName, columns: &[(&str, &str)]) -> Relation {
    let columns = columns.iter().zip(1..).map(|((column, type_sql), attnum)| Column {
        name: (*column).to_owned(),
        attnum,
        type_oid: 25,
        typmod: -1,
        type_sql: (*type_sql).to_owned(),
        builtin_type: true,
        domain_base: None,
        generated: false,
        computed_from: Vec::new(),
    });
    Relation {
        oid,
        name: relation,
        kind: RelationKind::Table,
        columns: columns.collect(),
        parents: Vec::new(),
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    }
}

fn rule(table: &str, class: &str, steps: Vec<Step>) -> TableRule {
    TableRule::new(name("clinic", table), class, KeyPath { steps, key: "patient_id".to_owned() })
}

fn context() -> Context {
    let relations = [
        relation(
            1,
            name("clinic", "patient"),
            &[("patient_id", "bigint"), ("mrn", "text"), ("name", "text")],
        ),
        relation(2, name("clinic", "lab_order"), &[("order_id", "bigint"), ("patient_id", "bigint")]),
        relation(
            3,
            name("clinic", "lab_result"),
            &[
                ("order_id", "bigint"),
                ("analyte", "text"),
                ("value", "numeric(6,2)"),
                ("taken_at", "timestamp"),
            ],
        ),
        relation(4, name("clinic", "ward"), &[("ward_id", "integer"), ("name", "text")]),
        relation(5, name("glass", "assigned"), &[("user_name", "text"), ("patient_id", "bigint")]),
    ];
    let mut catalog = Catalog { epoch: 1, server_version: 150_000, ..Catalog::default() };
    for r in relations {
        catalog.by_name.insert(r.name.clone(), r.oid);
        catalog.relations.insert(r.oid, r);
    }
    let order = Step::new("order_id", name("clinic", "lab_order"), "order_id");
    let policy = Policy {
        version: "bench".into(),
        key_type: KeyType::Int8,
        identifiers: Vec::new(),
        assignment: Assignment {
            relation: name("glass", "assigned"),
            principal: "user_name".to_owned(),
            patient: "patient_id".to_owned(),
            valid_from: None,
            valid_to: None,
        },
        tables: vec![
            rule("patient", "demographics", Vec::new()),
            rule("lab_order", "labs", Vec::new()),
            rule("lab_result", "labs", vec![order]),
        ],
        reference: BTreeSet::from([name("clinic", "ward")]),
        roles: BTreeMap::new(),
        membership: Membership::default(),
        profiles: BTreeMap::new(),
        mode: Default::default(),
        sources: Vec::new(),
        deny: Default::default(),
        labels: Vec::new(),
    };
    let role = Role { outside: Outside::Block, ..Role::new("nurse", Scope::Assigned) };
    let bound = BoundPolicy::bind(Arc::new(policy), &catalog, None);
    assert!(bound.problems.is_empty(), "{:?}", bound.problems);
    Context {
        role: Arc::new(role),
        policy: Arc::new(bound),
        catalog: Arc::new(catalog),
        namespace: Arc::new(Namespace {
            schemas: vec!["pg_catalog".to_owned(), "clinic".to_owned()],
            temp_relations: Vec::new(),
            temp_views: Vec::new(),
            temp_types: Vec::new(),
        }),
        variant: Variant::Assigned,
        watched: None,
    }
}

const STATEMENTS: [(&str, &str); 5] = [
    ("verbatim", "SELECT name FROM ward WHERE ward_id = 3"),
    ("lookup", "SELECT name, mrn FROM patient WHERE patient_id = $1"),
    (
        "join",
        "SELECT p.name, r.analyte, r.value FROM patient p JOIN lab_order o USING (patient_id) \
         JOIN lab_result r USING (order_id) WHERE r.analyte = 'hemoglobin' ORDER BY r.taken_at DESC LIMIT 20",
    ),
    (
        "aggregate",
        "SELECT r.analyte, count(*), avg(r.value) FROM lab_result r JOIN lab_order o USING (order_id) \
         WHERE r.taken_at >= '2026-01-01' GROUP BY r.analyte HAVING count(*) > 3",
    ),
    (
        "fenced",
        "SELECT p.name FROM patient p WHERE p.mrn::int % 7 = 3 AND EXISTS \
         (SELECT 1 FROM lab_order o WHERE o.patient_id = p.patient_id)",
    ),
];

fn deciding(c: &mut Criterion) {
    let context = context();
    let plans = Plans::default();
    for (label, text) in STATEMENTS {
        let planned = decide(text, &context);
        assert!(planned.as_ref().is_ok_and(|p| p.refusal().is_none()), "{label}: {planned:?}");
        c.bench_function(&format!("miss/{label}"), |b| b.iter(|| decide(black_box(text), &context)));
        c.bench_function(&format!("hit/{label}"), |b| {
            b.iter(|| plans.decide(black_box(text), &context, Form::Prepared(&[])))
        });
    }
}

criterion_group!(benches, deciding);
criterion_main!(benches);
