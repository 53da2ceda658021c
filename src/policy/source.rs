//! Assignment sources: where it is read who is assigned to whom, and the SQL text that reads it.
//! The union of all sources counts. Statements' guards and the proxy's own questions use one text.

use super::settled::{Demand, Value};
use super::{Assignment, Policy, RESERVED_PREFIX, col};
use crate::catalog::{QualifiedName, quote_ident};

/// One source of assignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A relation with a principal and a patient per row.
    Relation(Assignment),
    /// A query that yields them. It was judged when the configuration was read.
    Query(AssignmentQuery),
}

/// A query that yields rows of a principal (text) and a patient key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentQuery {
    /// One SELECT; every relation, function, operator and type in it is qualified.
    pub sql: String,
    /// The relations that it reads, sorted.
    pub relations: Vec<QualifiedName>,
    /// Every column name that stands in it, sorted: what is written there changes who sees whom.
    pub columns: Vec<String>,
    /// What its relations are called in it.
    pub aliases: Vec<(String, QualifiedName)>,
    /// What its subqueries call the columns that they yield.
    pub outputs: Vec<(String, Value)>,
    /// What has to hold of the types of its columns, or a client could move it by its settings.
    pub demands: Vec<Demand>,
}

impl Source {
    /// The relations that are read.
    pub fn relations(&self) -> &[QualifiedName] {
        match self {
            Source::Relation(a) => std::slice::from_ref(&a.relation),
            Source::Query(q) => &q.relations,
        }
    }

    /// The columns that are read: who writes there changes who sees whom.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Source::Relation(a) => {
                [Some(&a.principal), Some(&a.patient), a.valid_from.as_ref(), a.valid_to.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(String::as_str)
                    .collect()
            }
            Source::Query(q) => q.columns.iter().map(String::as_str).collect(),
        }
    }

    /// What the proxy's own account reads of it, as a query that finds nobody.
    pub fn question(&self) -> String {
        self.keys_of("''::pg_catalog.text")
    }

    /// `SELECT patient FROM ...` of the principal's rows that hold now.
    fn keys_of(&self, principal: &str) -> String {
        let alias = format!("{RESERVED_PREFIX}a");
        match self {
            Source::Relation(a) => format!(
                "SELECT {} FROM {} AS {} WHERE {}",
                col(&alias, &a.patient),
                a.relation.to_sql(),
                quote_ident(&alias),
                a.holds_now(principal)
            ),
            Source::Query(q) => {
                let [p, k] = ["p", "k"].map(|n| format!("{RESERVED_PREFIX}{n}"));
                format!(
                    "SELECT {} FROM ({}) AS {} ({}, {}) WHERE {} OPERATOR(pg_catalog.=) {principal}",
                    col(&alias, &k),
                    q.sql,
                    quote_ident(&alias),
                    quote_ident(&p),
                    quote_ident(&k),
                    col(&alias, &p)
                )
            }
        }
    }
}

impl Assignment {
    /// What holds for the principal's rows (alias `__glass_a`). Now is the time of the statement: `now()`
    /// stands still inside a transaction, and an assignment would not run out.
    pub(super) fn holds_now(&self, principal: &str) -> String {
        let alias = format!("{RESERVED_PREFIX}a");
        let mut text = format!("{} OPERATOR(pg_catalog.=) {principal}", col(&alias, &self.principal));
        for (column, op) in [(&self.valid_from, "<="), (&self.valid_to, ">")] {
            if let Some(column) = column {
                let c = col(&alias, column);
                text.push_str(&format!(
                    " AND ({c} IS NULL OR {c} OPERATOR(pg_catalog.{op}) pg_catalog.statement_timestamp())"
                ));
            }
        }
        text
    }
}

/// The keys of every patient assigned now to `principal` (SQL text of a `text` value), as a query.
pub fn assigned_keys(policy: &Policy, principal: &str) -> String {
    let first = Source::Relation(policy.assignment.clone()).keys_of(principal);
    let more = policy.sources.iter().map(|s| s.keys_of(principal));
    std::iter::once(first).chain(more).collect::<Vec<_>>().join(" UNION ALL ")
}

impl Policy {
    /// Every source: `[assignment]`, then the entries of `[[assignment.source]]`.
    pub fn all_sources(&self) -> impl Iterator<Item = Source> {
        std::iter::once(Source::Relation(self.assignment.clone())).chain(self.sources.iter().cloned())
    }

    /// True for a relation that says who is assigned to whom.
    pub fn is_assignment(&self, name: &QualifiedName) -> bool {
        self.assignment.relation == *name || self.sources.iter().any(|s| s.relations().contains(name))
    }
}
