//! A policy held against catalogs: a rule follows its relation, never lets go of one, and what
//! does not hold is closed. Then what a lint finds in plain data.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

#[path = "policy_bind/renamed.rs"]
mod renamed;

use std::path::Path;
use std::sync::Arc;

use pgglass::catalog::{Catalog, Column, Facts, ForeignKey, Oid, QualifiedName, Relation, RelationKind};
use pgglass::config::parse;
use pgglass::policy::{Access, BoundPolicy, Denial, Level, Policy, lint};

const EXAMPLE: &str = include_str!("../config/pgglass.example.toml");

fn policy() -> Arc<Policy> {
    parse(EXAMPLE, Path::new("pgglass.toml")).expect("the example").policy
}

const PATIENT: Oid = 100;
const VISIT: Oid = 101;
const ORDER: Oid = 102;
const RESULT: Oid = 103;
const WARD: Oid = 104;
const ASSIGNED: Oid = 105;

fn add(catalog: &mut Catalog, oid: Oid, schema: &str, name: &str, columns: &[&str], parents: &[Oid]) {
    let name = QualifiedName::new(schema, name);
    let column = |(i, c): (usize, &&str)| {
        let (name, type_sql) = c.split_once(' ').unwrap_or((c, "bigint"));
        Column {
            name: name.to_owned(),
            attnum: i16::try_from(i + 1).expect("few columns"),
            type_oid: 20,
            typmod: -1,
            type_sql: type_sql.to_owned(),
            builtin_type: true,
            domain_base: None,
            generated: false,
            computed_from: Vec::new(),
        }
    };
    let relation = Relation {
        oid,
        name: name.clone(),
        kind: RelationKind::Table,
        columns: columns.iter().enumerate().map(column).collect(),
        parents: parents.to_vec(),
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    };
    catalog.relations.insert(oid, relation);
    catalog.by_name.insert(name, oid);
}

fn rename(catalog: &mut Catalog, oid: Oid, new: &str) {
    let relation = catalog.relations.get_mut(&oid).expect("there");
    catalog.by_name.remove(&relation.name);
    relation.name.name = new.to_owned();
    catalog.by_name.insert(relation.name.clone(), oid);
}

fn drop_column(catalog: &mut Catalog, oid: Oid, column: &str) {
    catalog.relations.get_mut(&oid).expect("there").columns.retain(|c| c.name != column);
}

fn catalog() -> Catalog {
    let mut c = Catalog::default();
    let patient = ["patient_id", "mrn text", "ssn text", "phone text", "birth_date date", "note text"];
    add(&mut c, PATIENT, "clinic", "patient", &patient, &[]);
    add(&mut c, VISIT, "clinic", "visit", &["visit_id", "patient_id"], &[]);
    add(&mut c, ORDER, "clinic", "lab_order", &["order_id", "patient_id"], &[]);
    add(&mut c, RESULT, "clinic", "lab_result", &["result_id", "order_id"], &[]);
    add(&mut c, WARD, "clinic", "ward", &["ward_id"], &[]);
    add(&mut c, 106, "clinic", "drug", &["drug_id"], &[]);
    let assigned = ["user_name text", "patient_id", "valid_to timestamp with time zone"];
    add(&mut c, ASSIGNED, "glass", "assigned", &assigned, &[]);
    c
}

/// What a role may do, in a word.
fn access(bound: &BoundPolicy, role: &str, oid: Oid) -> &'static str {
    match bound.access(&bound.policy.roles[role], oid) {
        Access::Free => "free",
        Access::Protected { filter: true, block: true, .. } => "block",
        Access::Protected { filter: true, .. } => "hide",
        Access::Protected { masks, .. } if masks.outside.is_some() => "outside masked",
        Access::Protected { masks, .. } if !masks.is_empty() => "masked",
        Access::Protected { .. } => "recorded",
        Access::Denied(Denial::NotMapped) => "not mapped",
        Access::Denied(Denial::Misfit) => "misfit",
        Access::Denied(Denial::ProtectedPart) => "part",
        Access::Denied(Denial::ClassNotAllowed) => "class",
        Access::Denied(Denial::ScopeNone) => "none",
        Access::Denied(Denial::Denied) => "denied",
    }
}

#[test]
fn the_example_binds_and_decides() {
    let bound = BoundPolicy::bind(policy(), &catalog(), None);
    assert_eq!(bound.problems, []);
    for (oid, nurse, billing, dba) in [
        (PATIENT, "block", "masked", "recorded"),
        (VISIT, "block", "recorded", "recorded"),
        (RESULT, "block", "class", "recorded"),
        (WARD, "free", "free", "free"),
        (ASSIGNED, "not mapped", "not mapped", "free"),
        (999, "not mapped", "not mapped", "free"),
    ] {
        let got = ["nurse", "billing", "dba"].map(|role| access(&bound, role, oid));
        assert_eq!(got, [nurse, billing, dba], "{oid}");
    }
}

#[test]
fn a_renamed_table_keeps_its_rule_and_its_successor_gets_it_too() {
    let mut c = catalog();
    let first = BoundPolicy::bind(policy(), &c, None);
    rename(&mut c, VISIT, "visit_2025");
    let second = BoundPolicy::bind(policy(), &c, Some(&first));
    assert_eq!(access(&second, "nurse", VISIT), "block");
    assert_eq!(second.tables[&VISIT].name.name, "visit_2025", "guards name it as it is called now");
    assert!(second.epoch > first.epoch);

    add(&mut c, 200, "clinic", "visit", &["visit_id", "patient_id"], &[]);
    let third = BoundPolicy::bind(policy(), &c, Some(&second));
    assert_eq!(access(&third, "nurse", VISIT), "block");
    assert_eq!(access(&third, "nurse", 200), "block");
    assert_eq!(access(&third, "dba", VISIT), "recorded", "also for roles that see all");
}

#[test]
fn a_table_renamed_to_the_name_of_another_rule_has_that_rule() {
    let mut c = catalog();
    let first = BoundPolicy::bind(policy(), &c, None);
    rename(&mut c, ORDER, "visit_new");
    rename(&mut c, VISIT, "lab_order");
    rename(&mut c, ORDER, "visit");
    for _ in 0..8 {
        let second = BoundPolicy::bind(policy(), &c, Some(&first));
        assert_eq!(second.tables[&VISIT].rule.name.name, "lab_order");
        assert_eq!(second.tables[&ORDER].rule.name.name, "visit");
    }
}

#[test]
fn a_renamed_reference_table_stays_open_and_its_name_opens_nothing_else() {
    let mut c = catalog();
    let first = BoundPolicy::bind(policy(), &c, None);
    rename(&mut c, WARD, "station");
    let second = BoundPolicy::bind(policy(), &c, Some(&first));
    assert_eq!(access(&second, "nurse", WARD), "free");
    rename(&mut c, VISIT, "ward");
    let third = BoundPolicy::bind(policy(), &c, Some(&second));
    assert_eq!(access(&third, "nurse", VISIT), "block", "a protected table is never a reference");
}

#[test]
fn partitions_follow_through_every_level_and_after_detaching() {
    let mut c = catalog();
    add(&mut c, 201, "clinic", "visit_2026", &["visit_id", "patient_id"], &[VISIT]);
    add(&mut c, 202, "other", "visit_2026_01", &["visit_id", "patient_id"], &[201]);
    let first = BoundPolicy::bind(policy(), &c, None);
    for oid in [201, 202] {
        assert_eq!(access(&first, "nurse", oid), "block");
        assert_eq!(first.tables[&oid].rule.name.name, "visit");
    }
    c.relations.get_mut(&201).expect("there").parents.clear();
    let second = BoundPolicy::bind(policy(), &c, Some(&first));
    assert_eq!(access(&second, "nurse", 201), "block", "detached, the rows are the same");
    assert_eq!(access(&second, "nurse", 202), "block");
}

#[test]
fn a_rule_that_does_not_hold_closes_its_table_and_partitions_to_everyone() {
    let mut c = catalog();
    add(&mut c, 201, "clinic", "visit_2026", &["visit_id"], &[VISIT]);
    drop_column(&mut c, VISIT, "patient_id");
    let first = BoundPolicy::bind(policy(), &c, None);
    assert!(first.problems.iter().any(|p| p.message.contains("clinic.visit has no key column patient_id")));
    for oid in [VISIT, 201] {
        for role in ["nurse", "billing", "dba"] {
            assert_eq!(access(&first, role, oid), "misfit", "{role} {oid}");
        }
    }
    rename(&mut c, VISIT, "visit_old");
    c.relations.get_mut(&201).expect("there").parents.clear();
    let second = BoundPolicy::bind(policy(), &c, Some(&first));
    assert_eq!(access(&second, "dba", VISIT), "misfit", "renaming opens nothing");
    assert_eq!(access(&second, "dba", 201), "misfit", "nor does detaching");

    let whole = BoundPolicy::bind(policy(), &catalog(), Some(&second));
    assert_eq!(access(&whole, "dba", VISIT), "recorded", "a rule that holds again opens it");
}

#[test]
fn every_missing_piece_of_a_path_breaks_the_rule() {
    for (oid, column) in [(RESULT, "order_id"), (ORDER, "order_id"), (ORDER, "patient_id")] {
        let mut c = catalog();
        drop_column(&mut c, oid, column);
        let bound = BoundPolicy::bind(policy(), &c, None);
        assert_eq!(access(&bound, "dba", RESULT), "misfit", "{oid} {column}");
    }
    let mut c = catalog();
    rename(&mut c, ORDER, "orders");
    assert_eq!(access(&BoundPolicy::bind(policy(), &c, None), "nurse", RESULT), "misfit");
}

/// Facts under which the example has no finding but notes.
fn facts() -> Facts {
    let key = |oid: Oid, columns: &[&str]| (oid, vec![columns.iter().map(|c| (*c).to_owned()).collect()]);
    Facts {
        unique: [
            key(PATIENT, &["mrn"]),
            key(ORDER, &["order_id"]),
            key(ASSIGNED, &["user_name", "patient_id"]),
        ]
        .into(),
        foreign_keys: vec![ForeignKey {
            from: RESULT,
            columns: vec!["order_id".to_owned()],
            to: ORDER,
            references: vec!["order_id".to_owned()],
            actions: ['a', 'a'],
        }],
        roles: ["nurse", "dba", "bill_amy"].map(str::to_owned).into(),
        password_encryption: "scram-sha-256".to_owned(),
        assignment_rows: Some(true),
        ..Facts::default()
    }
}

fn findings(catalog: &Catalog, facts: &Facts) -> Vec<(Level, &'static str, String)> {
    let bound = BoundPolicy::bind(policy(), catalog, None);
    lint(&bound, catalog, facts).into_iter().map(|f| (f.level, f.code, f.subject)).collect()
}

#[test]
fn a_sound_policy_has_no_finding() {
    assert_eq!(findings(&catalog(), &facts()), []);
}

/// The example with `edit` made to it, and the findings of a role with a preset.
fn preset(catalog: &Catalog, edit: &str) -> (BoundPolicy, Vec<(Level, &'static str, String, String)>) {
    let text = format!(
        "{EXAMPLE}\n[role.study]\nusers = [\"study\"]\nscope = \"all\"\nmasks_preset = \"safe_harbor\"\n{edit}"
    );
    let policy = parse(&text, Path::new("pgglass.toml")).expect("the example").policy;
    let bound = BoundPolicy::bind(policy, catalog, None);
    let found = lint(&bound, catalog, &facts());
    let about = |f: &pgglass::policy::Finding| f.code.starts_with("safe-harbor") || f.level == Level::Error;
    let found = found.into_iter().filter(about).map(|f| (f.level, f.code, f.subject, f.message)).collect();
    (bound, found)
}

#[test]
fn a_preset_masks_what_looks_like_an_identifier_and_the_role_has_the_last_word() {
    let own = "[role.study.masks.\"clinic.patient\"]\nphone = \"null\"\nnote = \"none\"\n";
    let (bound, found) = preset(&catalog(), own);
    let role = &bound.policy.roles["study"];
    assert!(role.is_restricted());
    let Access::Protected { filter: false, masks, .. } = bound.access(role, PATIENT) else {
        panic!("protected")
    };
    let words: Vec<(&str, &str)> = masks.own.iter().map(|(c, m)| (*c, m.words().0)).collect();
    let expected = [("birth_date", "age90"), ("mrn", "redact"), ("phone", "null"), ("ssn", "redact")];
    assert_eq!(words, expected);
    let of = |subject: &str| {
        let mut all = found.iter().filter(|f| f.2 == subject);
        all.next().map(|f| (f.1, f.3.as_str())).expect("a finding")
    };
    assert_eq!(of("clinic.patient.birth_date"), ("safe-harbor", "role study: (C) date of birth: \"age90\""));
    assert_eq!(
        of("clinic.patient.phone"),
        ("safe-harbor", "role study: (D) telephone number: \"null\", as the role says")
    );
    assert_eq!(of("clinic.patient.note").0, "safe-harbor-none");
    assert_eq!(of("clinic.visit"), ("safe-harbor", "role study: no identifier, shown as they are: visit_id"));
    assert!(found.iter().any(|f| f.1 == "safe-harbor-key" && f.2 == "clinic.visit"), "{found:?}");
    assert!(found.iter().all(|f| f.0 == Level::Note), "{found:?}");

    // A column that comes later is looked at when it is there.
    let mut later = catalog();
    let relation = later.relations.get_mut(&PATIENT).expect("there");
    let mut column = relation.columns[2].clone();
    column.name = "home_address".to_owned();
    relation.columns.push(column);
    let next = BoundPolicy::bind(Arc::clone(&bound.policy), &later, Some(&bound));
    let Access::Protected { masks, .. } = next.access(role, PATIENT) else { panic!("protected") };
    assert!(!masks.clear("home_address") && masks.clear("note") && masks.clear("patient_id"));

    // A role of another policy: what its preset would mask is not known.
    let other = BoundPolicy::bind(policy(), &catalog(), None);
    assert_eq!(access_of(&other, role, PATIENT), "not mapped");
}

/// The proxy looks identifiers up in a session of its own, under other settings than the client's.
#[test]
fn what_settings_make_another_value_of_is_no_identifier() {
    for (type_sql, refused) in [
        ("date", true),
        ("timestamp with time zone", true),
        ("timestamp(3) without time zone", true),
        ("time with time zone", true),
        ("interval", true),
        ("money", true),
        ("text", false),
        ("character varying(30)", false),
        ("numeric(10,2)", false),
        ("uuid", false),
        ("time without time zone", false),
    ] {
        for domain in [false, true] {
            let mut catalog = catalog();
            let patient = catalog.relations.get_mut(&PATIENT).expect("there");
            let mrn = patient.columns.iter_mut().find(|c| c.name == "mrn").expect("there");
            if domain {
                (mrn.type_sql, mrn.builtin_type) = ("clinic.number".to_owned(), false);
                mrn.domain_base = Some(type_sql.to_owned());
            } else {
                mrn.type_sql = type_sql.to_owned();
            }
            let found = lint(&BoundPolicy::bind(policy(), &catalog, None), &catalog, &facts());
            let said = found.iter().any(|f| f.code == "identifier-type" && f.level == Level::Error);
            assert_eq!(said, refused, "{type_sql}: {found:?}");
        }
    }
}

/// A column that the server computes from a masked one tells of it.
#[test]
fn what_is_computed_from_a_masked_column_is_masked_unless_the_role_names_it() {
    let mut catalog = catalog();
    let relation = catalog.relations.get_mut(&PATIENT).expect("there");
    let computed = [
        ("tail", "text", "ssn"),
        ("words", "tsvector", "note"),
        ("born_year", "integer", "birth_date"),
        ("age", "integer", "birth_date"),
        ("calls", "text", "phone"),
        ("shown", "text", "phone"),
        ("own", "bigint", "patient_id"),
    ];
    for (name, type_sql, from) in computed {
        let column = Column {
            name: name.to_owned(),
            type_sql: type_sql.to_owned(),
            generated: true,
            computed_from: vec![from.to_owned()],
            ..relation.columns[0].clone()
        };
        relation.columns.push(column);
    }
    let own = "[role.study.masks.\"clinic.patient\"]\nphone = \"null\"\nnote = \"withhold\"\ncalls = \"redact\"\nshown = \"none\"\n";
    let (bound, found) = preset(&catalog, own);
    let words = |bound: &BoundPolicy, role: &str| -> Vec<String> {
        let Access::Protected { masks, .. } = bound.access(&bound.policy.roles[role], PATIENT) else {
            panic!("protected")
        };
        masks.own.iter().map(|(c, m)| format!("{c} {}", m.words().0)).collect()
    };
    assert_eq!(
        words(&bound, "study"),
        [
            "age age90",
            "birth_date age90",
            "born_year null",
            "calls redact",
            "mrn redact",
            "note withhold",
            "phone null",
            "ssn redact",
            "tail null",
            "words null",
        ]
    );
    let said: Vec<&str> = found.iter().filter(|f| f.2 == "clinic.patient").map(|f| f.3.as_str()).collect();
    assert!(said.contains(&"role study: no identifier, shown as they are: shown, own"), "{said:?}");
    let all = lint(&bound, &catalog, &facts());
    let of = |subject: &str| {
        let about = all.iter().find(|f| {
            f.code == "mask-computed" && f.subject == subject && f.message.starts_with("role study:")
        });
        about.map(|f| f.message.as_str()).unwrap_or_default()
    };
    assert_eq!(of("clinic.patient.words"), "role study: computed from note, which is masked: \"null\"");
    assert_eq!(
        of("clinic.patient.shown"),
        "role study: computed from phone, which is masked: shown as it is, as the role says"
    );
    assert_eq!(of("clinic.patient.own"), "");

    // The masks that a role names, without a preset; a preset's mask of the computed column does not go for those.
    let masks = "[role.desk]\nusers = [\"desk\"]\nscope = \"assigned\"\n[role.desk.masks.\"clinic.patient\"]\n\
                 birth_date = \"null\"\nssn = \"redact\"\nage = \"none\"\nmrn = \"none\"\n";
    let (bound, _) = preset(&catalog, masks);
    assert_eq!(words(&bound, "desk"), ["birth_date null", "born_year null", "ssn redact", "tail null"]);
    let idle = lint(&bound, &catalog, &facts()).into_iter().filter(|f| f.code == "mask-none");
    assert_eq!(idle.map(|f| f.subject).collect::<Vec<_>>(), ["clinic.patient.mrn"]);
    let strict = "[role.study.masks.\"clinic.patient\"]\nbirth_date = \"null\"\n";
    assert!(words(&preset(&catalog, strict).0, "study").contains(&"age null".to_owned()));
}

fn access_of(bound: &BoundPolicy, role: &pgglass::policy::Role, oid: Oid) -> &'static str {
    match bound.access(role, oid) {
        Access::Denied(Denial::NotMapped) => "not mapped",
        Access::Denied(Denial::Misfit) => "misfit",
        Access::Denied(Denial::ProtectedPart) => "part",
        _ => "open",
    }
}

#[test]
fn tables_of_surrogates_are_looked_at() {
    let masks = |table: &str| {
        format!(
            "[role.study.masks.\"clinic.patient\"]\n\
             mrn = {{ mask = \"surrogate\", table = \"{table}\", value = \"mrn\", surrogate = \"code\" }}\n"
        )
    };
    let mut c = catalog();
    add(&mut c, 400, "glass", "mrns", &["mrn text", "code text"], &[]);
    add(&mut c, 401, "glass", "numbers", &["mrn text", "code"], &[]);
    let errors = |c: &Catalog, table: &str| {
        let (_, found) = preset(c, &masks(table));
        found.into_iter().filter(|f| f.0 == Level::Error).map(|f| (f.1, f.3)).collect::<Vec<_>>()
    };
    let of = |c: &Catalog, table: &str| errors(c, table).into_iter().map(|f| f.0).collect::<Vec<_>>();
    assert_eq!(of(&c, "glass.nowhere"), ["does-not-exist"]);
    // No unique index over the values; the second one's surrogates are numbers, too.
    assert_eq!(of(&c, "glass.mrns"), ["mask-surrogate"]);
    assert_eq!(of(&c, "glass.numbers"), ["mask-surrogate", "mask-surrogate"]);
    // A table that clients may read tells what a surrogate stands for.
    assert!(errors(&c, "clinic.ward").iter().any(|f| f.1.contains("clients could read")));
}

#[test]
fn errors_come_first() {
    let mut c = catalog();
    add(&mut c, 300, "clinic", "scratch", &["a"], &[]);
    let mut f = facts();
    f.unique.remove(&ORDER);
    f.assignment_rows = Some(false);
    let expected = [
        (Level::Error, "not-unique", "clinic.lab_result".to_owned()),
        (Level::Warning, "assignment-empty", "glass.assigned".to_owned()),
        (Level::Note, "not-mapped", "clinic".to_owned()),
    ];
    assert_eq!(findings(&c, &f), expected);
}

#[test]
fn a_wider_unique_index_proves_nothing() {
    let mut f = facts();
    f.unique.insert(ORDER, vec![["order_id".to_owned(), "patient_id".to_owned()].into()]);
    assert_eq!(findings(&catalog(), &f)[0].1, "not-unique");
    f = facts();
    f.unique.insert(ASSIGNED, vec![["user_name", "patient_id", "valid_to"].map(str::to_owned).into()]);
    assert_eq!(findings(&catalog(), &f)[0].1, "assignment-not-unique");
}

#[test]
fn foreign_keys_in_a_circle_end() {
    let mut c = catalog();
    add(&mut c, 300, "clinic", "a", &["id", "b"], &[]);
    add(&mut c, 301, "clinic", "b", &["id", "a", "visit"], &[]);
    let fk = |from, column: &str, to, references: &str| ForeignKey {
        from,
        columns: vec![column.to_owned()],
        to,
        references: vec![references.to_owned()],
        actions: ['a', 'a'],
    };
    let mut f = facts();
    f.foreign_keys =
        vec![fk(300, "b", 301, "id"), fk(301, "a", 300, "id"), fk(301, "visit", VISIT, "visit_id")];
    let found = findings(&c, &f);
    let forgotten: Vec<&str> =
        found.iter().filter(|(_, code, _)| *code == "forgotten").map(|(_, _, s)| s.as_str()).collect();
    assert_eq!(forgotten, ["clinic.a", "clinic.b"]);
}

/// Adds a relation of another kind than a table.
fn add_kind(catalog: &mut Catalog, oid: Oid, name: &str, kind: RelationKind) {
    add(catalog, oid, "clinic", name, &["patient_id"], &[]);
    catalog.relations.get_mut(&oid).expect("just added").kind = kind;
}

#[test]
fn views_that_reach_protected_tables_are_told() {
    let mut c = catalog();
    add_kind(&mut c, 201, "labs_v", RelationKind::View);
    add_kind(&mut c, 202, "over_labs_v", RelationKind::View);
    add_kind(&mut c, 203, "labs_m", RelationKind::MaterializedView);
    add_kind(&mut c, 204, "wards_v", RelationKind::View);
    add_kind(&mut c, 205, "far_away", RelationKind::ForeignTable);
    let mut f = facts();
    // The third reads itself in a circle, as recursive views do not, and must end all the same.
    f.views = vec![(201, RESULT), (201, WARD), (202, 201), (203, 202), (203, 203), (204, WARD)];
    let found = findings(&c, &f);
    let about: Vec<_> =
        found.iter().filter(|x| x.1 == "view-of-patients").map(|x| (x.0, x.2.as_str())).collect();
    let notes = ["clinic.labs_m", "clinic.labs_v", "clinic.over_labs_v"].map(|n| (Level::Note, n));
    assert_eq!(about, notes);

    let text =
        EXAMPLE.replace("\"clinic.drug\"]", "\"clinic.drug\", \"clinic.over_labs_v\", \"clinic.far_away\"]");
    let policy = parse(&text, Path::new("pgglass.toml")).expect("the example").policy;
    let bound = BoundPolicy::bind(policy, &c, None);
    let found: Vec<_> = lint(&bound, &c, &f).into_iter().map(|x| (x.level, x.code, x.subject)).collect();
    assert!(
        found.contains(&(Level::Warning, "view-of-patients", "clinic.over_labs_v".to_owned())),
        "{found:?}"
    );
    assert!(found.contains(&(Level::Note, "foreign-table", "clinic.far_away".to_owned())), "{found:?}");
}

#[test]
fn partitions_follow_through_levels_renames_and_detaching() {
    let mut c = catalog();
    add(&mut c, 301, "clinic", "result_2024", &["result_id", "order_id"], &[RESULT]);
    add(&mut c, 302, "clinic", "result_2024_q1", &["result_id", "order_id"], &[301]);
    let bound = BoundPolicy::bind(policy(), &c, None);
    let nurse = &bound.policy.roles["nurse"];
    for oid in [301, 302] {
        assert!(matches!(bound.access(nurse, oid), Access::Protected { filter: true, .. }), "{oid}");
    }
    // Detached, it keeps the rule its rows came under; attached again, it follows again.
    let mut detached = c.clone();
    detached.relations.get_mut(&302).expect("there").parents.clear();
    let later = BoundPolicy::bind(Arc::clone(&bound.policy), &detached, Some(&bound));
    assert!(matches!(later.access(nurse, 302), Access::Protected { filter: true, .. }));
    let again = BoundPolicy::bind(Arc::clone(&bound.policy), &c, Some(&later));
    assert!(matches!(again.access(nurse, 302), Access::Protected { filter: true, .. }));
    // A new table under the old name has the rule, and so has the old one under its new name.
    let mut renamed = c.clone();
    renamed.by_name.remove(&QualifiedName::new("clinic", "lab_result"));
    let old = renamed.relations.get_mut(&RESULT).expect("there");
    old.name = QualifiedName::new("clinic", "lab_result_old");
    renamed.by_name.insert(QualifiedName::new("clinic", "lab_result_old"), RESULT);
    add(&mut renamed, 303, "clinic", "lab_result", &["result_id", "order_id"], &[]);
    let after = BoundPolicy::bind(Arc::clone(&bound.policy), &renamed, Some(&bound));
    for oid in [RESULT, 301, 302, 303] {
        assert!(matches!(after.access(nurse, oid), Access::Protected { filter: true, .. }), "{oid}");
    }
    // The column the path begins with is renamed: closed to everyone, partitions too.
    let mut changed = c.clone();
    for oid in [RESULT, 301, 302] {
        let columns = &mut changed.relations.get_mut(&oid).expect("there").columns;
        columns.iter_mut().filter(|c| c.name == "order_id").for_each(|c| c.name = "ord".into());
    }
    let closed = BoundPolicy::bind(Arc::clone(&bound.policy), &changed, Some(&bound));
    let dba = &bound.policy.roles["dba"];
    for oid in [RESULT, 301, 302] {
        assert_eq!(closed.access(dba, oid), Access::Denied(Denial::Misfit), "{oid}");
    }
}

#[test]
fn denied_tables_come_first_and_take_their_partitions_along() {
    let mut c = catalog();
    add(&mut c, 301, "clinic", "drug_1", &["drug_id"], &[106]);
    let text = EXAMPLE.replace("groups = [\"dba\"]", "groups = [\"dba\"]\nallow_denied = [\"clinic.visit\"]");
    let text = format!("{text}\n[deny]\ntables = [\"clinic.visit\", \"clinic.drug\"]\n");
    let policy = parse(&text, Path::new("pgglass.toml")).expect("the example").policy;
    let bound = BoundPolicy::bind(policy, &c, None);
    let (nurse, dba) = (&bound.policy.roles["nurse"], &bound.policy.roles["dba"]);
    for oid in [VISIT, 106, 301] {
        assert_eq!(bound.access(nurse, oid), Access::Denied(Denial::Denied), "{oid}");
    }
    assert!(matches!(bound.access(dba, VISIT), Access::Protected { .. }));
    assert_eq!(bound.access(dba, 106), Access::Denied(Denial::Denied));
    assert!(dba.is_restricted(), "clinic.drug is denied to it");
    let found: Vec<_> = lint(&bound, &c, &facts()).into_iter().map(|f| (f.code, f.subject)).collect();
    assert!(found.contains(&("denied", "dba".to_owned())), "{found:?}");
}

fn loose(catalog: &mut Catalog, oid: Oid, column: &str) {
    catalog.loose_columns.entry(oid).or_default().insert(column.to_owned());
}

#[test]
fn what_rests_on_a_column_that_mixes_texts_up_is_closed() {
    let codes = |c: &Catalog, bound: &BoundPolicy| -> Vec<String> {
        let errors = lint(bound, c, &facts()).into_iter().filter(|f| f.code == "loose-collation");
        errors.inspect(|f| assert_eq!(f.level, Level::Error)).map(|f| f.message).collect()
    };
    for (oid, column, what) in [
        (RESULT, "order_id", "clinic.lab_result: column order_id tells whose a row is"),
        (ORDER, "order_id", "clinic.lab_order: column order_id tells whose a row is"),
        (ORDER, "patient_id", "clinic.lab_order: column patient_id tells whose a row is"),
    ] {
        let mut c = catalog();
        loose(&mut c, oid, column);
        let bound = BoundPolicy::bind(policy(), &c, None);
        assert_eq!(access(&bound, "dba", RESULT), "misfit", "{oid} {column}");
        assert_eq!(access(&bound, "nurse", PATIENT), "block", "what does not rest on it is open");
        let found = codes(&c, &bound);
        assert!(!found.is_empty() && found[0].starts_with(what), "{found:?}");
        // It opens with another collation, and does not by another name.
        let again = BoundPolicy::bind(policy(), &catalog(), Some(&bound));
        assert_eq!(access(&again, "nurse", RESULT), "block");
        rename(&mut c, RESULT, "results");
        assert_eq!(access(&BoundPolicy::bind(policy(), &c, Some(&bound)), "dba", RESULT), "misfit");
    }
    // Any other column of the same relations may be so.
    let mut c = catalog();
    for (oid, column) in [(PATIENT, "mrn"), (PATIENT, "note"), (ASSIGNED, "valid_to"), (WARD, "ward_id")] {
        loose(&mut c, oid, column);
    }
    let bound = BoundPolicy::bind(policy(), &c, None);
    assert_eq!((bound.problems.as_slice(), access(&bound, "nurse", PATIENT)), (&[][..], "block"));

    // Who is assigned to whom: nobody can be told then, and who sees everyone is not concerned.
    let query = "[[assignment.source]]\nquery = \"SELECT s.who, s.patient FROM glass.shift AS s JOIN glass.team AS t \
                 ON t.name = s.team\"\n";
    let text = format!("{EXAMPLE}\n{query}");
    let with_query = parse(&text, Path::new("pgglass.toml")).expect("the example").policy;
    for (oid, column) in
        [(ASSIGNED, "user_name"), (ASSIGNED, "patient_id"), (500, "who"), (500, "patient"), (501, "name")]
    {
        let mut c = catalog();
        add(&mut c, 500, "glass", "shift", &["who text", "patient", "team text"], &[]);
        add(&mut c, 501, "glass", "team", &["name text", "title text"], &[]);
        loose(&mut c, 501, "title");
        let bound = BoundPolicy::bind(Arc::clone(&with_query), &c, None);
        assert_eq!(access(&bound, "nurse", VISIT), "block", "{:?}", bound.problems);
        loose(&mut c, oid, column);
        let bound = BoundPolicy::bind(Arc::clone(&with_query), &c, None);
        for table in [PATIENT, VISIT, RESULT] {
            assert_eq!(access(&bound, "nurse", table), "misfit", "{oid} {column}");
            assert_eq!(access(&bound, "dba", table), "recorded");
        }
        assert_eq!(access(&bound, "nurse", WARD), "free");
        let found = codes(&c, &bound);
        assert!(found[0].contains(&format!("column {column} tells who is assigned to whom")), "{found:?}");
    }
}

/// Conditions of a query over glass.duty, and whether a client could move them by its settings.
const MOVED: &[(&str, bool)] = &[
    ("d.ends > pg_catalog.now()", false),
    ("d.ends > pg_catalog.statement_timestamp() AND d.begins <= d.ends", false),
    ("d.day = pg_catalog.timezone('Europe/Berlin', pg_catalog.now())::pg_catalog.date", false),
    ("d.until > pg_catalog.timezone('UTC', pg_catalog.now())", false),
    ("pg_catalog.timezone('UTC', d.until) > pg_catalog.now()", false),
    ("d.until > pg_catalog.date_trunc('day', pg_catalog.timezone('UTC', pg_catalog.now()))", false),
    ("d.day = d.other_day AND d.day >= '2026-01-31' AND d.until < '2026-01-31 07:00'", false),
    ("d.ends > '2026-01-31 07:00:00+01' AND d.ends < '2027-01-31T07:00Z'::pg_catalog.timestamptz", false),
    ("d.n = 1 AND d.who <> 'x' AND d.n::pg_catalog.text = d.who AND d.who = ANY ('{a,b}')", false),
    ("d.n = ANY (d.list) AND COALESCE(d.who, '') <> '' AND d.open", false),
    ("pg_catalog.concat(d.who, '-', d.n) = d.who AND pg_catalog.lower(d.who) = 'amy'", false),
    ("EXISTS (SELECT 1 FROM glass.duty AS e WHERE e.ends > d.ends)", false),
    ("d.n=1 AND d.who<>'x'", false),
    ("d.id = '6ecd8c99-4036-403d-bf84-cf8400f67836'", false),
    ("d.until > pg_catalog.now()", true),
    ("pg_catalog.now() < d.until", true),
    ("d.day = pg_catalog.date_trunc('day', pg_catalog.now())", true),
    ("d.day <= pg_catalog.now()", true),
    ("d.day = d.until", true),
    ("d.until = d.ends", true),
    ("COALESCE(d.until, d.ends) > pg_catalog.now()", true),
    ("d.day >= '01/12/2026'", true),
    ("d.day >= 'today'", true),
    ("d.ends > 'now'", true),
    ("d.ends > '2026-01-31 07:00'", true),
    ("d.ends > '2026-01-31'", true),
    ("pg_catalog.now() < '2026-11-30 15:00'::pg_catalog.timestamptz", true),
    ("d.day = 'tomorrow'::pg_catalog.date", true),
    ("pg_catalog.now()::pg_catalog.date = d.day", true),
    ("d.ends::pg_catalog.date = d.day", true),
    ("d.day::pg_catalog.timestamptz < pg_catalog.now()", true),
    ("pg_catalog.concat(d.day) = '2026-11-27'", true),
    ("d.who >= pg_catalog.now()::pg_catalog.text", true),
    ("d.who = d.day::pg_catalog.text", true),
    ("d.who::pg_catalog.date = d.day", true),
    ("d.score::pg_catalog.text = d.who", true),
    ("d.ends = ANY ('{2026-01-31 07:00+01,now}')", true),
    ("d.n = ANY ('{1,NULL}')", true),
    ("d.day = ANY (d.moments)", true),
    ("pg_catalog.timezone('UTC', d.day) < pg_catalog.now()", true),
    ("d.grace = '1 day'", true),
    ("d.clock < d.zoned", true),
    ("EXISTS (SELECT 1 FROM glass.duty AS e WHERE e.until > pg_catalog.now())", true),
    (
        "EXISTS (SELECT 1 FROM (SELECT e.until AS ends FROM glass.duty AS e) AS s WHERE s.ends > pg_catalog.now())",
        true,
    ),
    (
        "EXISTS (SELECT 1 FROM (SELECT COALESCE(e.until, e.until) AS ends FROM glass.duty AS e) AS s WHERE s.ends > pg_catalog.now())",
        true,
    ),
];

#[test]
fn a_query_that_settings_move_says_nothing() {
    let columns = [
        "who text",
        "patient_id",
        "n integer",
        "open boolean",
        "id uuid",
        "day date",
        "other_day date",
        "until timestamp(3) without time zone",
        "ends timestamp with time zone",
        "begins timestamp(0) with time zone",
        "list integer[]",
        "moments timestamp with time zone[]",
        "score double precision",
        "grace interval",
        "clock time without time zone",
        "zoned time with time zone",
    ];
    for (condition, moved) in MOVED {
        let mut c = catalog();
        add(&mut c, 500, "glass", "duty", &columns, &[]);
        let query = format!(
            "[[assignment.source]]\nquery = \"SELECT d.who, d.patient_id FROM glass.duty AS d WHERE {condition}\"\n"
        );
        let policy =
            parse(&format!("{EXAMPLE}\n{query}"), Path::new("pgglass.toml")).expect(condition).policy;
        let bound = BoundPolicy::bind(policy, &c, None);
        let expected = if *moved { "misfit" } else { "block" };
        assert_eq!(access(&bound, "nurse", PATIENT), expected, "{condition} {:?}", bound.problems);
        assert_eq!(access(&bound, "dba", PATIENT), "recorded");
        let found: Vec<_> =
            lint(&bound, &c, &facts()).into_iter().filter(|f| f.code == "assignment-settings").collect();
        assert_eq!(!found.is_empty(), *moved, "{condition}");
        assert!(
            found.iter().all(|f| f.level == Level::Error && f.message.contains("SET TimeZone")),
            "{found:?}"
        );
    }
}

#[test]
fn a_way_over_a_view_that_settings_move_is_told() {
    let mut c = catalog();
    let told = |c: &Catalog| -> Vec<String> {
        let bound = BoundPolicy::bind(policy(), c, None);
        assert_eq!(access(&bound, "nurse", RESULT), "block");
        lint(&bound, c, &facts())
            .into_iter()
            .filter(|f| f.code == "way-settings")
            .map(|f| f.message)
            .collect()
    };
    assert_eq!(told(&c), [""; 0]);
    // lab_result's way leads over lab_order, which is no table now, but a view of another.
    c.view_settings.insert(WARD, "CURRENT_DATE".to_owned());
    c.view_reads.insert(ORDER, vec![(WARD, None)]);
    let found = told(&c);
    assert!(found.len() == 1 && found[0].contains("CURRENT_DATE"), "{found:?}");
}

#[test]
fn a_child_of_parents_whose_entries_differ_closes_all_that_reads_its_rows() {
    let mut c = catalog();
    add(&mut c, 301, "clinic", "visit_2026", &["visit_id", "patient_id"], &[VISIT]);
    add(&mut c, 302, "clinic", "both", &["visit_id", "order_id", "patient_id"], &[301, ORDER]);
    add(&mut c, 303, "clinic", "below", &["visit_id", "order_id", "patient_id"], &[302]);
    let bound = BoundPolicy::bind(policy(), &c, None);
    for oid in [VISIT, 301, ORDER, 302, 303] {
        assert_eq!(access(&bound, "nurse", oid), "misfit", "{oid}");
    }
    assert_eq!(access(&bound, "nurse", PATIENT), "block");
    let found: Vec<_> = lint(&bound, &c, &facts()).into_iter().filter(|f| f.code == "two-entries").collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].level, Level::Error);
    assert!(found[0].message.contains("clinic.both inherits from clinic.visit_2026 and clinic.lab_order"));
    // Without the one parent it is the other's.
    c.relations.get_mut(&302).expect("there").parents = vec![ORDER];
    let apart = BoundPolicy::bind(policy(), &c, Some(&bound));
    assert_eq!(access(&apart, "nurse", VISIT), "block");
    assert_eq!(apart.tables[&303].rule.name.name, "lab_order");
    // Parents that one entry speaks for may have a child in common, and so may a table without an entry.
    c.relations.get_mut(&302).expect("there").parents = vec![301, VISIT];
    let one = BoundPolicy::bind(policy(), &c, None);
    assert_eq!((one.problems.as_slice(), access(&one, "nurse", 302)), (&[][..], "block"));
    // An entry that does not hold says nothing that could be the same.
    c.relations.get_mut(&302).expect("there").parents = vec![301, RESULT];
    drop_column(&mut c, RESULT, "order_id");
    let broken = BoundPolicy::bind(policy(), &c, None);
    for oid in [VISIT, 301, RESULT, 302, 303] {
        assert_eq!(access(&broken, "dba", oid), "misfit", "{oid}");
    }
}

#[test]
fn entries_that_say_the_same_may_have_a_child_in_common() {
    let mut c = catalog();
    let columns = ["visit_id", "patient_id", "phone text"];
    add(&mut c, 300, "clinic", "stay", &columns, &[]);
    add(&mut c, 301, "clinic", "call", &columns, &[]);
    add(&mut c, 302, "clinic", "both", &columns, &[300, 301]);
    let entry = |name: &str, key: &str| {
        format!("\n[[table]]\nname = \"clinic.{name}\"\nclass = \"visits\"\nkey = \"{key}\"\n")
    };
    let both = |key: &str, more: &str| {
        let text = format!("{EXAMPLE}{}{}{more}", entry("stay", "patient_id"), entry("call", key));
        BoundPolicy::bind(parse(&text, Path::new("pgglass.toml")).expect("the example").policy, &c, None)
    };
    assert_eq!(access(&both("patient_id", ""), "nurse", 302), "block");
    assert_eq!(access(&both("visit_id", ""), "nurse", 302), "misfit");
    // A column that the one masks and the other does not.
    let masked = "\n[role.phone]\nusers = [\"p\"]\nscope = \"all\"\n[role.phone.masks.\"clinic.call\"]\nphone = \"redact\"\n";
    assert_eq!(access(&both("patient_id", masked), "nurse", 302), "misfit");
}

#[test]
fn a_relation_declared_free_with_a_part_that_is_not_is_told() {
    let mut c = catalog();
    c.relations.get_mut(&VISIT).expect("there").parents = vec![WARD];
    add(&mut c, 301, "clinic", "ward_1", &["ward_id"], &[WARD]);
    let found: Vec<_> =
        findings(&c, &facts()).into_iter().filter(|(_, code, _)| *code == "reference-part").collect();
    assert_eq!(found, [(Level::Warning, "reference-part", "clinic.ward".to_owned())]);
}
