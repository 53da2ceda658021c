//! Categories and labels in the configuration: what is accepted, what mistakes are answered with, and what
//! holding the policy against a catalog makes of them.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

use std::path::Path;

use pgglass::catalog::{Catalog, Column, Facts, Oid, QualifiedName, Relation, RelationKind};
use pgglass::config::{Config, ConfigErrors, parse};
use pgglass::policy::{Access, BoundPolicy, Denial, Mask, RowCategory, Seen, lint};

const EXAMPLE: &str = include_str!("../config/pgglass.example.toml");
const TABLE: &str = "class = \"visits\"\nkey = \"patient_id\"\n";
const BY_COLUMN: &str =
    "category = { column = \"kind\", values = { P = \"PSY\", H = \"HIV\" }, none = [\"N\", \"\"] }\n";
const LABEL: &str = "[[label]]\nrelation = \"clinic.label\"\npatient = \"patient_id\"\ncolumn = \"label\"\n\
                     values = { staff = \"EMP\" }\n[reference] ";

/// The example with pieces of text replaced, each of which must be there.
fn with(changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut text = EXAMPLE.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "the example has no {old:?}");
        text = text.replacen(old, new, 1);
    }
    parse(&text, Path::new("pgglass.toml"))
}

/// The example whose visits have this, and whose nurses have that.
fn sensitive(table: &str, nurse: &str) -> Result<Config, ConfigErrors> {
    let (table, nurse) = (format!("{TABLE}{table}"), format!("[role.nurse]\n{nurse}"));
    with(&[(TABLE, &table), ("[role.nurse]\n", &nurse), ("[reference] ", LABEL)])
}

#[test]
fn rows_columns_and_labels_are_read() {
    let more = format!(
        "{BY_COLUMN}column_categories = {{ place = \"SDV\", note = {{ category = \"PSY\", mask = \"redact\" }} }}\n"
    );
    let config = sensitive(&more, "categories = [\"PSY\"]\nlabels = \"all\"\n").expect("accepted");
    let policy = &config.policy;
    assert_eq!(config.warnings, []);
    let visit = policy.tables.iter().find(|t| t.name.name == "visit").expect("there");
    let Some(RowCategory::ByValue { column, values, null_is_none: true }) = &visit.category else {
        panic!("{:?}", visit.category)
    };
    assert_eq!((column.as_str(), values.names["P"].as_str(), values.none.len()), ("kind", "PSY", 2));
    assert_eq!(visit.column_categories["place"].mask, Mask::Null);
    assert!(matches!(visit.column_categories["note"].mask, Mask::Redact { .. }));
    assert_eq!(policy.categories().into_iter().collect::<Vec<_>>(), ["HIV", "PSY", "SDV"]);
    assert_eq!(policy.label_names().into_iter().collect::<Vec<_>>(), ["EMP"]);
    let (nurse, dba) = (&policy.roles["nurse"], &policy.roles["dba"]);
    assert!(nurse.categories.has("PSY") && !nurse.categories.has("HIV") && nurse.labels.is_all());
    // Closed to whoever is not named, roles that see everyone included: they are restricted with that.
    assert!(nurse.limited && dba.limited && dba.is_restricted());
    // Every name is not every value.
    let named =
        sensitive(BY_COLUMN, "categories = [\"PSY\", \"HIV\"]\nlabels = \"all\"\n").expect("accepted");
    assert!(named.policy.roles["nurse"].limited);
    let all = sensitive(BY_COLUMN, "categories = \"all\"\nlabels = \"all\"\n").expect("accepted");
    assert!(!all.policy.roles["nurse"].limited);
    let whole =
        sensitive("category = \"PSY\"\n", "categories = [\"PSY\"]\nlabels = \"all\"\n").expect("accepted");
    assert!(!whole.policy.roles["nurse"].limited);
}

#[test]
fn without_any_nothing_changes() {
    let config = with(&[]).expect("accepted");
    assert!(config.policy.roles.values().all(|r| !r.limited && r.categories == Seen::default()));
    assert!(!config.policy.roles["dba"].is_restricted());
    let named =
        with(&[("[role.nurse]\n", "[role.nurse]\ncategories = \"all\"\nlabels = []\n")]).expect("accepted");
    assert!(!named.policy.roles["nurse"].limited);
}

#[test]
fn every_rule_is_in_the_version() {
    let version =
        |table: &str, nurse: &str| sensitive(table, nurse).expect("accepted").policy.version.to_string();
    let of = [
        version("", ""),
        version("category = \"PSY\"\n", ""),
        version("category = \"PSY\"\n", "categories = [\"PSY\"]\n"),
        version("category = \"PSY\"\n", "categories = \"all\"\n"),
        version("category = \"PSY\"\n", "labels = \"all\"\n"),
        version("category = \"PSY\"\n", "labels = [\"EMP\"]\n"),
        version(BY_COLUMN, ""),
        version(&BY_COLUMN.replace("\"N\", ", ""), ""),
        version(&BY_COLUMN.replace(" }\n", ", null = \"closed\" }\n"), ""),
        version("column_categories = { place = \"PSY\" }\n", ""),
        version("column_categories = { place = { category = \"PSY\", mask = \"redact\" } }\n", ""),
    ];
    for (i, one) in of.iter().enumerate() {
        assert!(!of[i + 1..].contains(one), "{i}");
    }
}

#[test]
fn mistakes_are_told() {
    let profile = |more: &str| {
        with(&[
            (TABLE, &format!("{TABLE}{BY_COLUMN}")),
            ("[reference] ", LABEL),
            ("max_patients = 5\n", more),
        ])
    };
    for (errors, expected) in [
        (sensitive(BY_COLUMN, "categories = [\"PSI\"]\n"), "no [[table]] has category `PSI`"),
        (sensitive("", "categories = [\"PSY\"]\n"), "no [[table]] has category `PSY`"),
        (sensitive("", "labels = [\"VIP\"]\n"), "no [[label]] has label `VIP`"),
        (sensitive("category = \"P/SY\"\n", ""), "is no category name"),
        (sensitive("category = \"all\"\n", ""), "no category can be called `all`"),
        (sensitive("category = { values = { P = \"PSY\" } }\n", ""), "column"),
        (sensitive("category = { column = \"kind\" }\n", ""), "has no `values`"),
        (sensitive("category = { column = \"kind\", values = { P = 1 } }\n", ""), "is no text"),
        (
            sensitive("category = { column = \"kind\", values = { P = \"PSY\" }, none = [\"P\"] }\n", ""),
            "for none",
        ),
        (
            sensitive("category = { column = \"kind\", values = { P = \"PSY\" }, null = \"open\" }\n", ""),
            "`null` cannot be",
        ),
        (
            sensitive("category = { column = \"kind\", values = { P = \"PSY\" }, nul = \"none\" }\n", ""),
            "nul",
        ),
        (sensitive("column_categories = { patient_id = \"PSY\" }\n", ""), "whose a row is"),
        (
            sensitive("column_categories = { place = { category = \"PSY\", mask = \"year\" } }\n", ""),
            "`mask` cannot be",
        ),
        (profile("max_patients = 5\ncategories = [\"SDV\"]\n"), "no [[table]] has category `SDV`"),
        (profile("max_patients = 5\nlabels = [\"CEL\"]\n"), "no [[label]] has label `CEL`"),
        (
            with(&[("[reference] ", &LABEL.replace("clinic.label", "clinic.ward"))]),
            "declared free of patients",
        ),
        (
            with(&[("[reference] ", &LABEL.replace("clinic.label", "glass.assigned"))]),
            "is the assignment relation",
        ),
        (with(&[("[reference] ", &LABEL.replace("column = \"label\"\n", ""))]), "column"),
        (with(&[("[reference] ", &LABEL.replace("\"label\"\n", "\"patient_id\"\n"))]), "are the same"),
    ] {
        let errors = errors.expect_err(expected).to_string();
        assert!(errors.contains(expected), "{errors}\nnot: {expected}");
    }
}

fn relation(catalog: &mut Catalog, oid: Oid, name: &str, columns: &[(&str, &str)]) {
    let (schema, bare) = name.split_once('.').expect("a schema");
    let column = |(i, (name, type_sql)): (usize, &(&str, &str))| Column {
        name: (*name).to_owned(),
        attnum: i16::try_from(i + 1).expect("few columns"),
        type_oid: 20,
        typmod: -1,
        type_sql: (*type_sql).to_owned(),
        builtin_type: !type_sql.contains('.'),
        domain_base: None,
        generated: false,
        computed_from: Vec::new(),
    };
    let name = QualifiedName::new(schema, bare);
    let relation = Relation {
        oid,
        name: name.clone(),
        kind: RelationKind::Table,
        columns: columns.iter().enumerate().map(column).collect(),
        parents: Vec::new(),
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    };
    catalog.relations.insert(oid, relation);
    catalog.by_name.insert(name, oid);
}

/// The example's database, with visits of this kind and these labels.
fn catalog(kind: &str, label: Option<&str>) -> Catalog {
    let mut c = Catalog { epoch: 1, ..Catalog::default() };
    relation(&mut c, 1, "clinic.patient", &[("patient_id", "bigint"), ("mrn", "text")]);
    relation(&mut c, 2, "clinic.visit", &[("patient_id", "bigint"), ("kind", kind), ("place", "text")]);
    relation(&mut c, 3, "clinic.lab_order", &[("patient_id", "bigint"), ("order_id", "bigint")]);
    relation(&mut c, 4, "clinic.lab_result", &[("order_id", "bigint")]);
    relation(&mut c, 5, "clinic.ward", &[("id", "bigint")]);
    relation(
        &mut c,
        6,
        "glass.assigned",
        &[("user_name", "text"), ("patient_id", "bigint"), ("valid_to", "timestamptz")],
    );
    if let Some(column) = label {
        relation(&mut c, 7, "clinic.label", &[("patient_id", "bigint"), (column, "text")]);
    }
    c.foreign_types.insert("kind".to_owned(), 'e');
    c
}

#[test]
fn what_cannot_be_told_is_closed_to_whom_it_would_limit() {
    let config = sensitive(BY_COLUMN, "categories = [\"PSY\"]\n").expect("accepted");
    let seeing = sensitive(BY_COLUMN, "categories = \"all\"\nlabels = \"all\"\n").expect("accepted");
    let open = |config: &Config, catalog: &Catalog, oid: Oid| {
        let bound = BoundPolicy::bind(config.policy.clone(), catalog, None);
        let access = bound.access(&config.policy.roles["nurse"], oid);
        match access {
            Access::Protected { filter: true, table, .. } => Ok(table.hides_rows()),
            Access::Denied(Denial::Misfit) => {
                Err(bound.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            other => panic!("{other:?}"),
        }
    };
    for kind in ["text", "character varying(9)", "character(3)", "integer", "boolean", "clinic.kind"] {
        let catalog = catalog(kind, Some("label"));
        assert_eq!(open(&config, &catalog, 2), Ok(true), "{kind}");
        assert_eq!(open(&config, &catalog, 1), Ok(true), "labels close rows of every table");
        assert_eq!(open(&seeing, &catalog, 2), Ok(false));
    }
    for kind in ["jsonb", "text[]", "clinic.other", "double precision"] {
        let problem = open(&config, &catalog(kind, Some("label")), 2).expect_err("closed");
        assert!(problem.contains("cannot tell a category"), "{problem}");
        assert_eq!(open(&config, &catalog(kind, Some("label")), 1), Ok(true));
        assert_eq!(open(&seeing, &catalog(kind, Some("label")), 2), Ok(false));
    }
    for label in [None, Some("other")] {
        let catalog = catalog("text", label);
        for oid in [1, 2, 3, 4] {
            assert!(open(&config, &catalog, oid).expect_err("closed").contains("label"), "{label:?}");
        }
        assert_eq!(open(&seeing, &catalog, 2), Ok(false));
    }
    // Who is limited does not read the relation that says so, nor writes what it says.
    let catalog = catalog("text", Some("label"));
    let bound = BoundPolicy::bind(config.policy.clone(), &catalog, None);
    assert_eq!(bound.access(&config.policy.roles["nurse"], 7), Access::Denied(Denial::NotMapped));
    assert!(bound.is_link(7, "label") && bound.is_link(7, "patient_id"));
}

#[test]
fn a_role_that_sees_everyone_is_filtered_where_something_is_closed() {
    let config = sensitive("category = \"PSY\"\n", "").expect("accepted");
    let mut policy = (*config.policy).clone();
    policy.labels.clear();
    let bound = BoundPolicy::bind(policy.into(), &catalog("text", None), None);
    let dba = &config.policy.roles["dba"];
    for (oid, filtered) in [(1, false), (2, true)] {
        let Access::Protected { filter, block, table, .. } = bound.access(dba, oid) else {
            panic!("protected")
        };
        assert_eq!((filter, table.sees_everyone(), block), (filtered, filtered, false), "{oid}");
    }
}

#[test]
fn a_view_with_an_entry_of_its_own_needs_a_category_of_its_own() {
    let mut catalog = catalog("text", None);
    relation(&mut catalog, 8, "clinic.visit_v", &[("patient_id", "bigint"), ("kind", "text")]);
    catalog.relations.get_mut(&8).expect("there").kind = RelationKind::View;
    let facts = Facts { views: vec![(8, 2)], ..Facts::default() };
    for (category, found) in [("", 1), (BY_COLUMN, 0)] {
        let view = format!(
            "[[table]]\nname = \"clinic.visit_v\"\nclass = \"visits\"\nkey = \"patient_id\"\n{category}[reference] "
        );
        let config =
            with(&[(TABLE, &format!("{TABLE}{BY_COLUMN}")), ("[reference] ", &view)]).expect("accepted");
        let bound = BoundPolicy::bind(config.policy.clone(), &catalog, None);
        let findings = lint(&bound, &catalog, &facts);
        let about = findings.iter().filter(|f| f.code == "view-of-category");
        assert_eq!(about.count(), found, "{findings:?}");
    }
}
