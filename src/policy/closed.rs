//! What of a table is closed to a role beyond the assignment: rows of categories it does not see, patients
//! with labels it does not see, columns of such categories; and the SQL text of it. The rewriter places the
//! text as part of guards and masks, the checker compares against it.
//!
//! A condition on the row's own category column is a conjunct of its own: it is total on every value,
//! PostgreSQL evaluates it where it likes, and it never stands in an OR with the semi-join. Labels are an
//! anti-join, inside the subquery of the visible keys for who is filtered by assignment, else beside the row.
//! What a break-glass session opens comes in as an array of [`token`]s, each for one patient.

use std::collections::BTreeMap;

use super::category::{ColumnCategory, Labels, RowCategory, Seen};
use super::path::{Patients, TableRule};
use super::problem::loose_label;
use super::{
    BoundTable, GuardParams, Policy, Problem, RESERVED_PREFIX, Role, Scope, assigned_keys, col, way,
};
use crate::catalog::{Catalog, Column, QualifiedName, Relation, quote_ident, quote_literal};

/// What is closed of one table to one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The role sees every patient: no assignment is asked for.
    everyone: bool,
    rows: Option<Rows>,
    labels: Vec<ClosedLabels>,
    columns: BTreeMap<String, ColumnCategory>,
}

/// Closed rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rows {
    /// All, as they are of this category.
    Whole(String),
    /// But those whose `column` has one of the values `open`.
    But { column: String, open: Vec<String>, null_is_open: bool, closed: BTreeMap<String, Vec<String>> },
}

/// Patients who are closed: those with a label that is not `open`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedLabels {
    relation: QualifiedName,
    patient: String,
    column: String,
    open: Vec<String>,
    closed: BTreeMap<String, Vec<String>>,
}

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// Rows and columns of a category.
    Category,
    /// A patient with a label.
    Label,
}

/// The words with which a break-glass session opens a category or a label of one patient; `name` has no `/`.
pub fn token(opens: Opens, name: &str, key: &str) -> String {
    format!("{}{key}", token_head(opens, name))
}

fn token_head(opens: Opens, name: &str) -> String {
    let kind = match opens {
        Opens::Category => 'c',
        Opens::Label => 'l',
    };
    format!("{kind}/{name}/")
}

impl Closed {
    /// What is closed of `relation` to `role`, or `None`; an error when it cannot be told, and all has to be.
    pub(super) fn of(
        role: &Role,
        rule: &TableRule,
        relation: &Relation,
        labels: &[ClosedLabels],
        catalog: &Catalog,
    ) -> Result<Option<Closed>, Problem> {
        let rows = match &rule.category {
            Some(RowCategory::Whole(name)) => (!role.categories.has(name)).then(|| Rows::Whole(name.clone())),
            Some(RowCategory::ByValue { .. }) if role.categories.is_all() => None,
            Some(RowCategory::ByValue { column, values, null_is_none }) => {
                tells(relation, column, catalog)?;
                Some(Rows::But {
                    column: column.clone(),
                    open: values.open_to(&role.categories),
                    null_is_open: *null_is_none,
                    closed: values.closed_to(&role.categories),
                })
            }
            None => None,
        };
        let columns: BTreeMap<String, ColumnCategory> = rule
            .column_categories
            .iter()
            .filter(|(_, c)| !role.categories.has(&c.category))
            .map(|(column, c)| (column.clone(), c.clone()))
            .collect();
        if let Some(column) = columns.keys().find(|c| relation.column(c).is_none()) {
            let problem =
                format!("{}: {} has no column {column}, which has a category", rule.name, relation.name);
            return Err(problem.into());
        }
        if rows.is_none() && columns.is_empty() && labels.is_empty() {
            return Ok(None);
        }
        Ok(Some(Closed { everyone: role.scope == Scope::All, rows, labels: labels.to_vec(), columns }))
    }

    /// True when rows are closed, not columns alone.
    pub fn hides_rows(&self) -> bool {
        self.rows.is_some() || !self.labels.is_empty()
    }

    /// The category that closes the whole table.
    pub fn whole(&self) -> Option<&str> {
        match &self.rows {
            Some(Rows::Whole(name)) => Some(name),
            Some(Rows::But { .. }) | None => None,
        }
    }

    /// True when a row can be closed by what stands in it.
    pub fn by_category(&self) -> bool {
        self.rows.is_some()
    }

    /// The column that tells whether a row is closed.
    pub fn column(&self) -> Option<&str> {
        match &self.rows {
            Some(Rows::But { column, .. }) => Some(column),
            Some(Rows::Whole(_)) | None => None,
        }
    }

    /// Columns that are masked, as their category is closed.
    pub fn columns(&self) -> &BTreeMap<String, ColumnCategory> {
        &self.columns
    }

    /// What rows are hidden, in words.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        match &self.rows {
            None => {}
            Some(Rows::Whole(name)) => words.push(format!("every row (category {name})")),
            Some(Rows::But { column, open, null_is_open, .. }) => {
                let null = null_is_open.then(|| "NULL".to_owned());
                let open: Vec<String> =
                    null.into_iter().chain(open.iter().map(|v| format!("{v:?}"))).collect();
                words.push(match open.is_empty() {
                    true => format!("every row (by {column})"),
                    false => format!("rows whose {column} is not {}", open.join(" or ")),
                });
            }
        }
        for labels in &self.labels {
            let open: Vec<String> = labels.open.iter().map(|v| format!("{v:?}")).collect();
            words.push(match open.is_empty() {
                true => format!("patients with a {}.{}", labels.relation, labels.column),
                false => format!(
                    "patients with a {}.{} other than {}",
                    labels.relation,
                    labels.column,
                    open.join(" or ")
                ),
            });
        }
        words
    }

    pub(super) fn everyone(&self) -> bool {
        self.everyone
    }
}

impl ClosedLabels {
    /// The labels that are closed to `role`; an error when they cannot be read.
    pub(super) fn of(
        role: &Role,
        labels: &[Labels],
        catalog: &Catalog,
    ) -> Result<Vec<ClosedLabels>, Problem> {
        if role.labels.is_all() {
            return Ok(Vec::new());
        }
        labels.iter().map(|l| ClosedLabels::of_one(&role.labels, l, catalog)).collect()
    }

    fn of_one(seen: &Seen, labels: &Labels, catalog: &Catalog) -> Result<ClosedLabels, Problem> {
        let Labels { relation: name, patient, column, values } = labels;
        let Some(relation) = catalog.lookup(name) else {
            return Err(format!("label relation {name} does not exist in the database").into());
        };
        if relation.column(patient).is_none() {
            return Err(format!("label relation {name} has no column {patient}").into());
        }
        if let Some(problem) = loose_label(relation, patient, catalog) {
            return Err(problem);
        }
        tells(relation, column, catalog)?;
        Ok(ClosedLabels {
            relation: name.clone(),
            patient: patient.clone(),
            column: column.clone(),
            open: values.open_to(seen),
            closed: values.closed_to(seen),
        })
    }

    /// True for a patient (SQL text of the key) who has a label that is closed.
    fn has_closed(&self, key: &str, opened: Option<u16>) -> String {
        let alias = format!("{RESERVED_PREFIX}l");
        let value = text_of(&alias, &self.column);
        let mut condition = if self.open.is_empty() {
            format!("{} IS NOT NULL", col(&alias, &self.column))
        } else {
            format!("{value} OPERATOR(pg_catalog.<>) ALL ({})", array(&self.open))
        };
        let by_token: Vec<String> = opened
            .into_iter()
            .flat_map(|n| self.closed.iter().map(move |closed| (n, closed)))
            .map(|(n, (name, values))| {
                let key = format!("{key}::pg_catalog.text");
                format!("({} AND {})", one_of(&value, values), is_opened(Opens::Label, name, &key, n))
            })
            .collect();
        if !by_token.is_empty() {
            condition.push_str(&format!(" AND NOT ({})", by_token.join(" OR ")));
        }
        format!(
            "EXISTS (SELECT 1 FROM {} AS {} WHERE {} OPERATOR(pg_catalog.=) {key} AND {condition})",
            self.relation.to_sql(),
            quote_ident(&alias),
            col(&alias, &self.patient),
        )
    }
}

/// The keys that `keys` (a query of one column) yields, without those of patients with closed labels.
fn without_labelled(labels: &[ClosedLabels], keys: String, opened: Option<u16>) -> String {
    if labels.is_empty() {
        return keys;
    }
    let [n, p] = ["n", "p"].map(|name| format!("{RESERVED_PREFIX}{name}"));
    let key = col(&n, &p);
    let conditions: Vec<String> =
        labels.iter().map(|l| format!("NOT {}", l.has_closed(&key, opened))).collect();
    format!(
        "SELECT {key} FROM ({keys}) AS {} ({}) WHERE {}",
        quote_ident(&n),
        quote_ident(&p),
        conditions.join(" AND ")
    )
}

/// The keys of every patient assigned now to `principal` (SQL text of a `text` value) whom no label of `labels`
/// hides, as a query: what the proxy's own account asks.
pub fn open_assigned_keys(policy: &Policy, labels: &[ClosedLabels], principal: &str) -> String {
    without_labelled(labels, assigned_keys(policy, principal), None)
}

/// The keys of `keys` that no label closes to the role of `table`.
pub(super) fn open_keys(table: &BoundTable, keys: String, params: GuardParams) -> String {
    match &table.closed {
        Some(closed) => without_labelled(&closed.labels, keys, params.opened),
        None => keys,
    }
}

/// True for a key that no label closes, for a role that sees every patient; `None` for others.
pub(super) fn key_is_open(table: &BoundTable, key: &str, params: GuardParams) -> Option<String> {
    table.closed.as_ref().filter(|c| c.everyone)?;
    Some(somebody_open(table, key, params))
}

/// True for the key of a patient whom no label closes.
fn somebody_open(table: &BoundTable, key: &str, params: GuardParams) -> String {
    let open = no_label(table, key, params).map(|open| format!(" AND {open}")).unwrap_or_default();
    format!("{key} IS NOT NULL{open}")
}

/// True for a key that no label closes to the role of `table`; `None` where none can.
pub(super) fn no_label(table: &BoundTable, key: &str, params: GuardParams) -> Option<String> {
    let labels = table.closed.as_ref().map(|c| c.labels.as_slice()).unwrap_or_default();
    let open: Vec<String> =
        labels.iter().map(|l| format!("NOT {}", l.has_closed(key, params.opened))).collect();
    (!open.is_empty()).then(|| open.join(" AND "))
}

/// The conjuncts that stand beside the look at the assignment. With `labels`, also those that it holds
/// otherwise. Every parameter of ours stands in them where it could be missing from the text: the server
/// takes as many values as the text has numbers.
pub(super) fn conditions(table: &BoundTable, alias: &str, params: GuardParams, labels: bool) -> Vec<String> {
    let Some(closed) = &table.closed else { return Vec::new() };
    let mut out = named_params(closed, params);
    out.extend(category(table, alias, params).map(|c| format!("({c})")));
    if labels || closed.everyone {
        out.extend(closed.labels.iter().map(|l| not_labelled(l, table, alias, params)));
    }
    out
}

fn named_params(closed: &Closed, params: GuardParams) -> Vec<String> {
    let mut out = Vec::new();
    if closed.everyone {
        out.push(format!("(${}::pg_catalog.text IS NOT NULL)", params.principal));
        // `unknown[]` is not a type; that it is one of a key's does not matter to IS NOT NULL.
        out.extend(params.grants.map(|n| format!("(${n}::pg_catalog.text IS NOT NULL)")));
    }
    out.extend(params.opened.map(|n| format!("(${n}::pg_catalog.text[] IS NOT NULL)")));
    out
}

/// What of [`conditions`] is not about the row's category, without the label of an assigned patient.
pub(super) fn beside_category(table: &BoundTable, alias: &str, params: GuardParams) -> Vec<String> {
    let Some(closed) = &table.closed else { return Vec::new() };
    let mut out = named_params(closed, params);
    if closed.everyone {
        out.extend(closed.labels.iter().map(|l| not_labelled(l, table, alias, params)));
    }
    out
}

/// True for a row of no closed category; `None` when no row of the table can be of one.
pub(super) fn category(table: &BoundTable, alias: &str, params: GuardParams) -> Option<String> {
    let rows = table.closed.as_ref()?.rows.as_ref()?;
    // A row of several patients is opened by none of them.
    let key =
        params.opened.filter(|_| !table.rule.is_many()).map(|n| (n, way::witness(table, alias, |_| None)));
    let mut any = Vec::new();
    match rows {
        Rows::Whole(name) => {
            any.extend(key.iter().map(|(n, key)| is_opened(Opens::Category, name, key, *n)));
        }
        Rows::But { column, open, null_is_open, closed } => {
            if *null_is_open {
                any.push(format!("{} IS NULL", col(alias, column)));
            }
            let value = text_of(alias, column);
            if !open.is_empty() {
                any.push(one_of(&value, open));
            }
            for (name, values) in closed.iter().filter(|_| key.is_some()) {
                any.extend(key.iter().map(|(n, key)| {
                    format!("({} AND {})", one_of(&value, values), is_opened(Opens::Category, name, key, *n))
                }));
            }
        }
    }
    Some(if any.is_empty() { "false".to_owned() } else { any.join(" OR ") })
}

/// True for rows of a patient for whom a session opened the category of `column`; `None` where none can.
pub(super) fn column_opened(
    table: &BoundTable,
    alias: &str,
    column: &str,
    params: GuardParams,
) -> Option<String> {
    let category = table.closed.as_ref()?.columns.get(column)?;
    let opened = params.opened.filter(|_| !table.rule.is_many())?;
    Some(is_opened(Opens::Category, &category.category, &way::witness(table, alias, |_| None), opened))
}

/// True for a row that leads to no patient with a closed label. Where any of a row's patients is enough for it to be
/// seen, one who is open is: that a patient who is not there has a part in it, too, must not tell.
fn not_labelled(labels: &ClosedLabels, table: &BoundTable, alias: &str, params: GuardParams) -> String {
    if let Some(key) = table.rule.own_key() {
        return format!("(NOT {})", labels.has_closed(&col(alias, key), params.opened));
    }
    let arms = way::ways(table, alias, 'g', |path, key| {
        let closed = labels.has_closed(key, params.opened);
        let any = table.rule.patients == Patients::Any && path.is_many();
        // From the row that the closed one was found over: as one join of small tables, asked once.
        let from =
            path.steps.first().filter(|_| any).map(|first| col(&way::step_alias('g', 0), &first.references));
        match from.and_then(|from| way::chain(path, 'e', &from)) {
            None => closed,
            Some((from, key)) => {
                format!(
                    "{closed} AND NOT EXISTS (SELECT 1 {from} AND {})",
                    somebody_open(table, &key, params)
                )
            }
        }
    });
    format!("(NOT EXISTS ({}))", arms.join(" UNION ALL "))
}

fn is_opened(opens: Opens, name: &str, key: &str, opened: u16) -> String {
    let head = quote_literal(&token_head(opens, name));
    format!(
        "({head}::pg_catalog.text OPERATOR(pg_catalog.||) {key}) OPERATOR(pg_catalog.=) ANY \
         (${opened}::pg_catalog.text[])"
    )
}

/// A value as its text, compared sign by sign: a collation of the column's could hold others for equal.
fn text_of(alias: &str, column: &str) -> String {
    format!("({}::pg_catalog.text COLLATE pg_catalog.\"C\")", col(alias, column))
}

fn one_of(value: &str, values: &[String]) -> String {
    format!("{value} OPERATOR(pg_catalog.=) ANY ({})", array(values))
}

fn array(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|v| quote_literal(v)).collect();
    format!("ARRAY[{}]::pg_catalog.text[]", values.join(", "))
}

/// A column whose values can be compared as text: whatever it holds, its text is had without an error.
fn tells(relation: &Relation, column: &str, catalog: &Catalog) -> Result<(), String> {
    let Some(found) = relation.column(column) else {
        return Err(format!("{} has no column {column}, which tells a category or label", relation.name));
    };
    if has_total_text(found, catalog) {
        return Ok(());
    }
    Err(format!(
        "{}: column {column} of type {} cannot tell a category or label (text, an integer, boolean or an enum can)",
        relation.name, found.type_sql
    ))
}

fn has_total_text(column: &Column, catalog: &Catalog) -> bool {
    // The text of a domain's value is that of the type behind it. What is not built in has its schema.
    let (name, builtin) = match &column.domain_base {
        Some(base) => (base.as_str(), !base.contains('.')),
        None => (column.type_sql.as_str(), column.builtin_type),
    };
    if !builtin {
        let bare = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
        return catalog.foreign_types.get(bare) == Some(&'e');
    }
    let head = name.split_once('(').map_or(name, |(head, _)| head);
    let words = ["text", "character varying", "character", "smallint", "integer", "bigint", "boolean"];
    !name.ends_with("[]") && words.contains(&head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_one_kind_and_name_are_those_of_no_other() {
        assert_eq!(token(Opens::Category, "PSY", "7"), "c/PSY/7");
        assert_ne!(token(Opens::Category, "EMP", "7"), token(Opens::Label, "EMP", "7"));
        assert_ne!(
            token(Opens::Category, "A", "B/7"),
            token(Opens::Category, "A/B", "7").replace("A/B", "AB")
        );
    }
}
