//! A catalog made of what policies name, for `--catalog none`: relations without most of their columns.

use crate::catalog::{Catalog, Column, QualifiedName, Relation, RelationKind};
use crate::policy::{Path, Policy};

/// Every relation that a policy names, with the columns that it names.
pub(in crate::cli::check) fn of_policies<'a>(policies: impl Iterator<Item = &'a Policy>) -> Catalog {
    let mut catalog = Catalog { epoch: 1, server_version: 150_000, ..Catalog::default() };
    for policy in policies {
        let key_type = policy.key_type.sql().trim_start_matches("pg_catalog.");
        for rule in &policy.tables {
            add(&mut catalog, &rule.name, None);
            if let Path::When(alternatives) = &rule.path {
                alternatives.iter().for_each(|a| add(&mut catalog, &rule.name, Some((&a.column, "text"))));
            }
            for path in rule.paths() {
                let mut at = &rule.name;
                for step in &path.steps {
                    add(&mut catalog, at, Some((&step.column, "text")));
                    at = &step.table;
                    add(&mut catalog, at, Some((&step.references, "text")));
                }
                add(&mut catalog, at, Some((&path.key, key_type)));
            }
        }
        for identifier in &policy.identifiers {
            add(&mut catalog, &identifier.table, Some((&identifier.column, "text")));
        }
        let a = &policy.assignment;
        add(&mut catalog, &a.relation, Some((&a.principal, "text")));
        add(&mut catalog, &a.relation, Some((&a.patient, key_type)));
        for column in [&a.valid_from, &a.valid_to].into_iter().flatten() {
            add(&mut catalog, &a.relation, Some((column, "timestamp with time zone")));
        }
        for role in policy.roles.values() {
            for (table, columns) in &role.masks {
                columns.keys().for_each(|column| add(&mut catalog, table, Some((column, "text"))));
            }
        }
        policy.reference.iter().for_each(|name| add(&mut catalog, name, None));
    }
    catalog
}

fn add(catalog: &mut Catalog, name: &QualifiedName, column: Option<(&String, &str)>) {
    let next = u32::try_from(catalog.relations.len()).unwrap_or(0) + 100_000;
    let oid = *catalog.by_name.entry(name.clone()).or_insert(next);
    let relation = catalog.relations.entry(oid).or_insert_with(|| Relation {
        oid,
        name: name.clone(),
        kind: RelationKind::Table,
        columns: Vec::new(),
        parents: Vec::new(),
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    });
    if let Some((column, type_sql)) = column.filter(|(c, _)| relation.column(c).is_none()) {
        let attnum = i16::try_from(relation.columns.len() + 1).unwrap_or(i16::MAX);
        relation.columns.push(Column {
            name: column.clone(),
            attnum,
            type_oid: 25,
            typmod: -1,
            type_sql: type_sql.to_owned(),
            builtin_type: true,
            domain_base: None,
            generated: false,
            computed_from: Vec::new(),
        });
    }
}
