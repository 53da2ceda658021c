//! A small clinic for the tests of `resolve` and `check` and for fuzz targets: catalog, policy, roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Catalog, Column, Function, Namespace, QualifiedName, Relation, RelationKind};
use crate::policy::{
    Assignment, BoundPolicy, ColumnCategory, KeyPath, KeyType, Labels, Mask, Membership, Policy, Role,
    RowCategory, Scope, Step, TableRule, Values,
};
#[cfg(test)]
use crate::policy::{GuardParams, Variant};
#[cfg(test)]
use crate::sql::check::CheckContext;
#[cfg(test)]
use crate::sql::resolve::Context;

pub(crate) struct Clinic {
    pub(crate) catalog: Catalog,
    pub(crate) bound: BoundPolicy,
    pub(crate) namespace: Namespace,
    pub(crate) role: Role,
}

fn name(n: &str) -> QualifiedName {
    QualifiedName::new(if n == "assigned" { "glass" } else { "public" }, n)
}

fn relation(oid: u32, n: &str, kind: RelationKind, columns: &[(&str, &str)]) -> Relation {
    Relation {
        oid,
        name: name(n),
        kind,
        columns: columns
            .iter()
            .enumerate()
            .map(|(i, (c, t))| Column {
                name: (*c).into(),
                attnum: i as i16 + 1,
                type_oid: 25,
                typmod: -1,
                type_sql: (*t).into(),
                builtin_type: !matches!(*t, "gender" | "citext"),
                domain_base: None,
                generated: false,
                computed_from: Vec::new(),
            })
            .collect(),
        parents: Vec::new(),
        has_triggers_or_rules: false,
        has_rules: false,
        rewrites_rows: false,
        row_security: false,
    }
}

pub(crate) fn role(scope: Scope) -> Role {
    Role { functions: BTreeSet::from([name("fmt")]), ..Role::new("nurse", scope) }
}

/// A type whose values are rows.
const ROW_TYPE: u32 = 20_001;

fn function(schema: &str, args: &[u32]) -> Function {
    Function {
        oid: 1,
        schema: schema.into(),
        args: args.to_vec(),
        result: 25,
        leakproof: false,
        volatility: 'v',
        kind: 'f',
        unary: args.len() == 1,
        takes_row: args.len() == 1 && args[0] == ROW_TYPE,
    }
}

impl Clinic {
    pub(crate) fn new() -> Self {
        use RelationKind::{Table, View};
        let relations = [
            relation(
                1,
                "patients",
                Table,
                &[
                    ("mrn", "bigint"),
                    ("ssn", "text"),
                    ("name", "character varying(80)"),
                    ("dob", "date"),
                    ("sex", "gender"),
                    ("weight", "numeric(6,2)"),
                    ("score", "double precision"),
                    ("active", "boolean"),
                    ("doc", "jsonb"),
                    ("seen_at", "timestamp with time zone"),
                    ("visits", "integer"),
                    ("nick", "citext"),
                ],
            ),
            relation(
                2,
                "notes",
                Table,
                &[
                    ("id", "bigint"),
                    ("mrn", "bigint"),
                    ("body", "text"),
                    ("at", "timestamp without time zone"),
                ],
            ),
            relation(3, "orders", Table, &[("order_id", "bigint"), ("mrn", "bigint"), ("code", "text")]),
            relation(4, "results", Table, &[("order_id", "bigint"), ("value", "numeric"), ("unit", "text")]),
            relation(5, "ward", Table, &[("id", "integer"), ("name", "text"), ("mrn", "bigint")]),
            relation(6, "secret", Table, &[("x", "text")]),
            relation(7, "all_patients_v", View, &[("mrn", "bigint")]),
            relation(8, "assigned", Table, &[("user_name", "text"), ("patient_id", "bigint")]),
        ];
        let mut catalog = Catalog { epoch: 1, server_version: 150_018, ..Catalog::default() };
        for r in relations {
            catalog.by_name.insert(r.name.clone(), r.oid);
            catalog.relations.insert(r.oid, r);
        }
        let above = relation(10, "patients_all", Table, &[("mrn", "bigint")]);
        catalog.by_name.insert(above.name.clone(), 10);
        catalog.relations.insert(10, above);
        if let Some(patients) = catalog.relations.get_mut(&1) {
            patients.parents.push(10);
        }
        let mut child = relation(9, "patients_2024", Table, &[("mrn", "bigint"), ("ssn", "text")]);
        child.parents.push(1);
        catalog.by_name.insert(child.name.clone(), 9);
        catalog.relations.insert(9, child);
        catalog.foreign_types.insert("gender".into(), 'e');
        catalog.foreign_types.insert("citext".into(), 'b');
        catalog.functions.insert("get_ssn".into(), vec![function("public", &[20])]);
        catalog.functions.insert("row_secret".into(), vec![function("public", &[ROW_TYPE])]);
        catalog.functions.insert("fmt".into(), vec![function("public", &[25])]);
        catalog.functions.insert("lower".into(), vec![function("pg_catalog", &[25])]);
        catalog.functions.insert("pg_sleep".into(), vec![function("pg_catalog", &[701])]);
        catalog
            .functions
            .insert("reverse".into(), vec![function("pg_catalog", &[25]), function("public", &[20])]);
        let rule =
            |n: &str, steps: Vec<Step>| TableRule::new(name(n), "c", KeyPath { steps, key: "mrn".into() });
        let step = Step::new("order_id", name("orders"), "order_id");
        let policy = Policy {
            version: "0".into(),
            key_type: KeyType::Int8,
            identifiers: Vec::new(),
            assignment: Assignment {
                relation: name("assigned"),
                principal: "user_name".into(),
                patient: "patient_id".into(),
                valid_from: None,
                valid_to: None,
            },
            tables: vec![
                rule("patients", vec![]),
                rule("notes", vec![]),
                rule("orders", vec![]),
                rule("results", vec![step]),
            ],
            reference: BTreeSet::from([name("ward"), name("patients_all")]),
            roles: BTreeMap::new(),
            membership: Membership::default(),
            profiles: BTreeMap::new(),
            mode: Default::default(),
            sources: Vec::new(),
            deny: Default::default(),
            labels: Vec::new(),
        };
        let bound = BoundPolicy::bind(Arc::new(policy), &catalog, None);
        let namespace = Namespace {
            schemas: vec!["pg_catalog".into(), "public".into()],
            temp_relations: vec!["tmp".into()],
            temp_views: Vec::new(),
            temp_types: Vec::new(),
        };
        Self { catalog, bound, namespace, role: role(Scope::Assigned) }
    }

    pub(crate) fn masked() -> Self {
        let mut clinic = Self::new();
        let masks = BTreeMap::from([
            ("ssn".to_owned(), Mask::Redact { text: "***".into() }),
            ("dob".to_owned(), Mask::Year),
        ]);
        clinic.role.masks.insert(name("patients"), masks);
        clinic
    }

    /// Notes have a category by their body, results one for all, a column of patients its own, and patients
    /// labels; the role, of this scope, sees none of them.
    pub(crate) fn limited(scope: Scope) -> Self {
        let mut clinic = Self::new();
        let label = relation(11, "label", RelationKind::Table, &[("mrn", "bigint"), ("label", "text")]);
        clinic.catalog.by_name.insert(label.name.clone(), label.oid);
        clinic.catalog.relations.insert(label.oid, label);
        let mut policy = Policy::clone(&clinic.bound.policy);
        let values = |value: &str, name: &str| Values {
            names: BTreeMap::from([(value.to_owned(), name.to_owned())]),
            none: BTreeSet::from(["n".to_owned()]),
        };
        for table in &mut policy.tables {
            let column = ColumnCategory { category: "HIV".into(), mask: Mask::Null };
            match table.name.name.as_str() {
                "notes" => {
                    let (column, values) = ("body".to_owned(), values("p", "PSY"));
                    table.category = Some(RowCategory::ByValue { column, values, null_is_none: true });
                }
                "orders" => table.category = Some(RowCategory::Whole("SDV".into())),
                "patients" => _ = table.column_categories.insert("weight".into(), column),
                _ => {}
            }
        }
        policy.labels = vec![Labels {
            relation: name("label"),
            patient: "mrn".into(),
            column: "label".into(),
            values: values("staff", "EMP"),
        }];
        clinic.role.scope = scope;
        clinic.role.limited = policy.limits(&clinic.role.categories, &clinic.role.labels);
        policy.roles.insert(clinic.role.name.to_string(), clinic.role.clone());
        clinic.bound = BoundPolicy::bind(Arc::new(policy), &clinic.catalog, None);
        clinic
    }

    #[cfg(test)]
    pub(crate) fn context(&self) -> Context<'_> {
        Context { role: &self.role, bound: &self.bound, catalog: &self.catalog, namespace: &self.namespace }
    }

    #[cfg(test)]
    pub(crate) fn check_context(&self) -> CheckContext<'_> {
        CheckContext {
            context: self.context(),
            params: GuardParams::after(3, Variant::Assigned),
            source: crate::sql::check::ParameterSource::UNDECLARED,
        }
    }

    #[cfg(test)]
    /// Replaces `{table alias}` by the guard, `{new table alias}` by the new-key check,
    /// `{steady table alias}` by what a locked row needs beside it, `{visible table alias}` by the look at one row's patient and
    /// `{key table alias}` by the witness.
    pub(crate) fn fill(&self, text: &str) -> String {
        use crate::policy::{
            Named, Steady, guard_conjunct, key_expression, merged_key_check, new_key_check,
            new_key_check_beside, proposed_key_check, steady_condition, visible_condition,
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, after) = after.split_once('}').expect("a closing brace");
            out.push_str(before);
            let words: Vec<_> = inside.split(' ').collect();
            let params = GuardParams::after(3, Variant::Assigned);
            let table = |n: &str| {
                let oid = self.catalog.by_name[&name(n)];
                self.bound.table_for(&self.role, oid).expect("a protected table")
            };
            let policy = &self.bound.policy;
            out.push_str(&match words.as_slice() {
                ["new", t, a] => new_key_check(policy, table(t), a, params),
                ["key", t, a] => key_expression(policy, table(t), a, Named::Visible(params)),
                ["proposed", t] => proposed_key_check(policy, table(t), params),
                ["steady", t, a] => steady_condition(policy, table(t), a, params, Steady::Way),
                ["new", t, a, query, column] => {
                    let parents = [((*query).to_owned(), (*column).to_owned())];
                    new_key_check_beside(policy, table(t), a, params, &parents)
                }
                ["merged", t, value] => {
                    let values = [("mrn".to_owned(), format!("({value})::bigint"))];
                    merged_key_check(policy, table(t), &values, params)
                }
                ["visible", t, a] => visible_condition(policy, table(t), a, params),
                [t, a] if self.catalog.by_name.contains_key(&name(t)) => {
                    guard_conjunct(policy, table(t), a, params)
                }
                _ => format!("{{{inside}}}"),
            });
            rest = after;
        }
        out + rest
    }
}
