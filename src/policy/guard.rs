//! The SQL text of guards and masks. The rewriter places it, the checker compares against it;
//! neither invents its own.
//!
//! Every name in it is qualified, every operator is `OPERATOR(pg_catalog.=)`, every alias carries
//! the reserved prefix: a CTE, a temporary table or an operator of the user's cannot capture it.
//! The filter is a semi-join (`= ANY (SELECT ...)`), never inside OR or CASE: measured, those
//! forms read the whole assignment per statement.

use super::closed;
use super::mask::clear_expression;
use super::path::{KeyPath, Path};
use super::steady::{Steady, is_steady, steady_condition};
use super::{
    BoundTable, KeyType, Mask, MaskOf, Policy, RESERVED_PREFIX, TableMasks, assigned_keys, mask_expression,
    mask_join, way,
};
use crate::catalog::{Column, Relation, quote_ident};

/// Whether the guard admits assigned patients only or also those of active break-glass sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Assigned patients.
    Assigned,
    /// Assigned patients and the granted ones (a second bind parameter).
    Granted,
    /// The same, and of the granted ones also what a session opens by name: categories, labels (a third).
    Opened,
}

/// The bind parameters a guard reads. They come after the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GuardParams {
    /// `$n` with the principal's name (text).
    pub principal: u16,
    /// `$n` with the granted patients (array of the key type); absent in [`Variant::Assigned`].
    pub grants: Option<u16>,
    /// `$n` with what is opened by name ([`token`](super::token)s, `text[]`); in [`Variant::Opened`] alone.
    pub opened: Option<u16>,
}

impl GuardParams {
    /// Most parameters of a client's own in a statement that gets a guard.
    pub const MOST: u16 = 65_500;

    /// The parameters that follow `client_params` parameters of the client's own. There is no room
    /// after the last numbers (Bind counts in 16 bits); who plans refuses more than
    /// [`GuardParams::MOST`] before, so that no number of ours is ever one of the client's.
    pub fn after(client_params: u16, variant: Variant) -> Self {
        Self {
            principal: client_params.saturating_add(1),
            grants: match variant {
                Variant::Assigned => None,
                Variant::Granted | Variant::Opened => Some(client_params.saturating_add(2)),
            },
            opened: match variant {
                Variant::Assigned | Variant::Granted => None,
                Variant::Opened => Some(client_params.saturating_add(3)),
            },
        }
    }
}

/// An alias of ours.
fn ours(name: &str) -> String {
    quote_ident(&format!("{RESERVED_PREFIX}{name}"))
}

/// `alias.column`, both quoted.
pub(super) fn col(alias: &str, column: &str) -> String {
    format!("{}.{}", quote_ident(alias), quote_ident(column))
}

/// The subquery that yields every patient key the principal may see.
pub(super) fn visible_keys(policy: &Policy, table: &BoundTable, params: GuardParams) -> String {
    let assigned = assigned_keys(policy, &format!("${}::pg_catalog.text", params.principal));
    let keys = match params.grants {
        None => assigned,
        Some(n) => {
            format!("{assigned} UNION ALL SELECT pg_catalog.unnest(${n}::{})", array_type(policy.key_type))
        }
    };
    closed::open_keys(table, keys, params)
}

/// True for one row that leads to a patient whom the user sees: what is asked row by row, for places that are
/// evaluated so (CASE). Conjuncts.
fn row_is_visible(policy: &Policy, table: &BoundTable, alias: &str, params: GuardParams) -> Option<String> {
    (!table.sees_everyone()).then(|| way::may_write(table, alias, &visible_keys(policy, table, params)))
}

/// The array type of the key type.
fn array_type(key: KeyType) -> String {
    format!("{}[]", key.sql())
}

/// True always: conjuncts that name the principal and the grants where the text could be without them. The server
/// takes as many values as the text has numbers.
fn params_named(key: KeyType, params: GuardParams) -> Vec<String> {
    let principal = format!("(${}::pg_catalog.text IS NOT NULL)", params.principal);
    let grants = params.grants.map(|n| format!("(${n}::{} IS NOT NULL)", array_type(key)));
    std::iter::once(principal).chain(grants).collect()
}

/// The filter for one occurrence of a protected table under `alias`: true exactly for rows whose patient
/// is visible and of which nothing is closed to the role; NULL keys are nobody's. One conjunct or several,
/// each parenthesised; to be AND-ed.
pub fn guard_conjunct(policy: &Policy, table: &BoundTable, alias: &str, params: GuardParams) -> String {
    let assigned =
        (!table.sees_everyone()).then(|| way::guard(table, alias, &visible_keys(policy, table, params)));
    let all = assigned.into_iter().chain(closed::conditions(table, alias, params, false));
    all.collect::<Vec<_>>().join(" AND ")
}

/// Whom the witness of a row of several patients names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// All of them.
    All,
    /// Those whom no label closes to the role: by them the row is there for who sees every patient, or sees those
    /// outside masked.
    Open(GuardParams),
    /// Of these, those inside the assignment, for a role that is filtered by it.
    Visible(GuardParams),
}

impl Named {
    /// Of a row that is filtered so, or not at all.
    pub fn under(filter: Option<GuardParams>) -> Self {
        filter.map_or(Named::All, Named::Visible)
    }
}

/// The witness of a row under `alias`: its patient key as text, or, where a row can belong to several
/// patients ([`TableRule::is_many`](super::TableRule::is_many)), a `text[]` of the keys that are `named`.
pub fn key_expression(policy: &Policy, table: &BoundTable, alias: &str, named: Named) -> String {
    let by_key = |key: &str| match named {
        Named::Visible(params) if !table.sees_everyone() => {
            Some(way::among(key, &visible_keys(policy, table, params)))
        }
        Named::Visible(params) | Named::Open(params) => closed::no_label(table, key, params),
        Named::All => None,
    };
    way::witness(table, alias, by_key)
}

/// The witness as rows: as it is, or one row for each key of a set.
pub fn key_rows(policy: &Policy, table: &BoundTable, alias: &str, named: Named) -> String {
    let key = key_expression(policy, table, alias, named);
    if table.rule.is_many() { format!("pg_catalog.unnest({key})") } else { key }
}

/// True for a row under `alias` that is visible: the filter in a form that looks one row's patient up,
/// for places that are evaluated row by row (CASE).
pub fn visible_condition(policy: &Policy, table: &BoundTable, alias: &str, params: GuardParams) -> String {
    let visible = row_is_visible(policy, table, alias, params);
    let all = visible.into_iter().chain(closed::conditions(table, alias, params, false));
    format!("({})", all.collect::<Vec<_>>().join(" AND "))
}

/// A RETURNING expression that lets a written row pass (NULL) when it is visible and otherwise
/// raises 22P02 with a text that starts with `GLS-201`, or with `GLS-204` when the row is of a closed
/// category, which undoes the statement. The text depends on the row, so the planner cannot evaluate it
/// early.
pub fn new_key_check(policy: &Policy, table: &BoundTable, alias: &str, params: GuardParams) -> String {
    new_key_check_beside(policy, table, alias, params, &[])
}

/// The same for a row whose patient may be told by a row that the same statement inserts, which nothing in it
/// can see yet. `parents`: WITH queries that insert rows of the table that the path goes to, checked
/// themselves, each with its column of what the path refers to.
pub fn new_key_check_beside(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    params: GuardParams,
    parents: &[(String, String)],
) -> String {
    let row: Vec<String> = table.rule.owner_columns().into_iter().map(|c| col(alias, c)).collect();
    let row = row.join(", ' ', ");
    let fails = |code: &str| format!("pg_catalog.concat('{code} ', {row})::pg_catalog.bool");
    let visible = row_is_visible(policy, table, alias, params);
    let all = visible.into_iter().chain(closed::beside_category(table, alias, params));
    let first = table.rule.single().and_then(|path| path.steps.first());
    let inserted = parents.iter().zip(first.into_iter().cycle()).map(|((query, column), step)| {
        format!(
            " WHEN {} OPERATOR(pg_catalog.=) ANY (SELECT {} FROM {}) THEN NULL::pg_catalog.bool",
            col(alias, &step.column),
            col(query, column),
            quote_ident(query)
        )
    });
    let patient = format!(
        "CASE WHEN {} THEN NULL::pg_catalog.bool{} ELSE {} END",
        all.collect::<Vec<_>>().join(" AND "),
        inserted.collect::<String>(),
        fails("GLS-201"),
    );
    match closed::category(table, alias, params) {
        None => patient,
        Some(open) => format!("CASE WHEN {open} THEN {patient} ELSE {} END", fails("GLS-204")),
    }
}

/// The check of a row proposed for insertion when another one is in its way (ON CONFLICT DO UPDATE):
/// true when its patient is visible, an error as in [`new_key_check`] when not. Without it, 0 rows and
/// no error would tell that a patient exists who is not the user's.
pub fn proposed_key_check(policy: &Policy, table: &BoundTable, params: GuardParams) -> String {
    format!("({}) IS NULL", new_key_check(policy, table, "excluded", params))
}

/// The same for a row under `alias` that is offered for insertion and dropped when another one is in its way (ON
/// CONFLICT DO NOTHING). `parents` as in [`new_key_check_beside`].
pub fn offered_key_check(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    params: GuardParams,
    parents: &[(String, String)],
) -> String {
    format!("({}) IS NULL", new_key_check_beside(policy, table, alias, params, parents))
}

/// A value of VALUES that is offered so: `value` (SQL text) when the row's patient is visible, an error as in
/// [`new_key_check`] when not. `values` as in [`merged_key_check`].
pub fn offered_value(
    policy: &Policy,
    table: &BoundTable,
    value: &str,
    values: &[(String, String)],
    params: GuardParams,
    parents: &[(String, String)],
) -> String {
    format!("CASE WHEN {} THEN {value} END", key_check_of(policy, table, values, params, parents))
}

/// True for the row that MERGE is about to write when its patient is visible, an error as in [`new_key_check`]
/// when not. `values`: the columns that say whose it is, each with the expression that is written.
pub fn merged_key_check(
    policy: &Policy,
    table: &BoundTable,
    values: &[(String, String)],
    params: GuardParams,
) -> String {
    key_check_of(policy, table, values, params, &[])
}

/// The check of a row that stands nowhere yet.
fn key_check_of(
    policy: &Policy,
    table: &BoundTable,
    values: &[(String, String)],
    params: GuardParams,
    parents: &[(String, String)],
) -> String {
    let row = format!("{RESERVED_PREFIX}n1");
    let list: Vec<String> = values.iter().map(|(c, e)| format!("{e} AS {}", quote_ident(c))).collect();
    format!(
        "((SELECT {} FROM (SELECT {}) AS {}) IS NULL)",
        new_key_check_beside(policy, table, &row, params, parents),
        list.join(", "),
        quote_ident(&row),
    )
}

/// True always, once the WITH query `name` was read to its end: nothing but constants and that query's rows
/// decide it, so the planner asks it before any row of the join whose condition it is part of.
pub fn asked_first(name: &str) -> String {
    format!("((SELECT pg_catalog.count(*) FROM {}) OPERATOR(pg_catalog.>=) 0)", quote_ident(name))
}

/// What a derived table in place of a protected relation contains besides its columns.
#[derive(Debug, Clone, Copy, Default)]
pub struct DerivedShape<'a> {
    /// Filter with the guard conjunct.
    pub filter: Option<GuardParams>,
    /// Tell rows of patients outside, for their masks; without it every row counts as one.
    pub inside: Option<GuardParams>,
    /// End with `OFFSET 0`: nothing outside is evaluated before the filter.
    pub fence: bool,
    /// Rows are locked where they stand: with the conjunct that keeps the guard true after a wait.
    pub steady: bool,
    /// `TABLESAMPLE ...`, taken before the filter.
    pub sample: Option<&'a str>,
    /// The relation's own rows, not those of its children.
    pub only: bool,
    /// Add the patient key as a hidden column of this name (reserved prefix included).
    pub witness: Option<&'a str>,
    /// Further conjuncts (SQL text over the relation's alias), pushed in below the fence. They must
    /// read no masked column and be safe; the checker looks at them again.
    pub local: &'a [String],
}

/// What a role sees of `column`, of a row `alias` that it may see: its mask, or the value where a session opens it.
pub fn masked_column(
    table: &BoundTable,
    column: &Column,
    alias: &str,
    mask: &Mask,
    params: Option<GuardParams>,
) -> String {
    let masked = mask_expression(column, alias, mask, MaskOf::Rows);
    match params.and_then(|p| closed::column_opened(table, alias, &column.name, p)) {
        None => masked,
        Some(is_open) => {
            let clear = clear_expression(column, alias);
            format!("CASE WHEN {is_open} THEN {clear} ELSE {masked} END")
        }
    }
}

/// The same of a row that a write returns, if no other table has to be asked for it.
pub fn returned_column(
    table: &BoundTable,
    column: &Column,
    alias: &str,
    masks: &TableMasks<'_>,
    params: Option<GuardParams>,
) -> Option<String> {
    let mask = masks.own(&column.name)?;
    let asks = mask_join(column, alias, mask, MaskOf::Rows).is_some();
    (!asks).then(|| masked_column(table, column, alias, mask, params))
}

/// A parenthesised subquery, without alias, that stands in place of a protected relation: its
/// columns in catalog order, masked ones as their masks. `inner_alias` names the base table inside.
///
/// Rows of patients outside are told by a LEFT JOIN that finds one row at most, so that no row is doubled, the
/// planner drops it where no masked column is read, and nothing of the client's is evaluated below it.
pub fn derived_table(
    policy: &Policy,
    table: &BoundTable,
    relation: &Relation,
    masks: &TableMasks<'_>,
    inner_alias: &str,
    shape: DerivedShape<'_>,
) -> String {
    let inside = masks.outside.map(|_| Inside::new(policy, table, inner_alias, shape.inside));
    let mut joins = inside.as_ref().map(|i| i.joins.clone()).unwrap_or_default();
    let mut told_apart = false;
    let mut items = Vec::with_capacity(relation.columns.len() + 1);
    for c in &relation.columns {
        let own = masks.own(&c.name);
        let opened = shape.filter.or(shape.inside);
        let shown = own.map(|mask| masked_column(table, c, inner_alias, mask, opened));
        joins.extend(own.and_then(|mask| mask_join(c, inner_alias, mask, MaskOf::Rows)));
        let shown = match &inside {
            Some(inside) if !masks.same_outside(&c.name) => {
                let mask = masks.outside.and_then(|o| o.get(&c.name)).and_then(Option::as_ref);
                let mask = mask.unwrap_or(&Mask::Null);
                joins.extend(mask_join(c, inner_alias, mask, MaskOf::Outside));
                told_apart = true;
                format!(
                    "CASE WHEN {} THEN {} ELSE {} END",
                    inside.condition,
                    shown.unwrap_or_else(|| clear_expression(c, inner_alias)),
                    mask_expression(c, inner_alias, mask, MaskOf::Outside)
                )
            }
            _ => shown.unwrap_or_else(|| col(inner_alias, &c.name)),
        };
        items.push(format!("{shown} AS {}", quote_ident(&c.name)));
    }
    if let Some(name) = shape.witness {
        let named = match (shape.filter, shape.inside) {
            (None, Some(params)) => Named::Open(params),
            (filter, _) => Named::under(filter),
        };
        let key = key_expression(policy, table, inner_alias, named);
        items.push(format!("{key} AS {}", quote_ident(name)));
    }
    let mut conjuncts: Vec<String> =
        shape.filter.iter().map(|p| guard_conjunct(policy, table, inner_alias, *p)).collect();
    if let Some(params) = shape.filter.filter(|_| shape.steady && is_steady(table, relation.kind)) {
        conjuncts.push(steady_condition(policy, table, inner_alias, params, Steady::Way));
    }
    // Where rows outside are shown masked, what is closed is not shown at all.
    let beside = shape.inside.filter(|_| shape.filter.is_none());
    conjuncts.extend(beside.into_iter().flat_map(|p| closed::conditions(table, inner_alias, p, true)));
    // Where rows outside show every column as the others do, nothing asks whose they are.
    let unread = beside.filter(|_| !told_apart);
    conjuncts.extend(unread.into_iter().flat_map(|p| params_named(policy.key_type, p)));
    conjuncts.extend(shape.local.iter().map(|l| format!("({l})")));
    let mut text = format!(
        "(SELECT {} FROM {}{} AS {}{}{joins}",
        items.join(", "),
        if shape.only { "ONLY " } else { "" },
        relation.name.to_sql(),
        quote_ident(inner_alias),
        shape.sample.map(|sample| format!(" {sample}")).unwrap_or_default(),
    );
    if !conjuncts.is_empty() {
        text.push_str(" WHERE ");
        text.push_str(&conjuncts.join(" AND "));
    }
    if shape.fence {
        text.push_str(" OFFSET 0");
    }
    text.push(')');
    text
}

/// How a row's patient is found to be inside the assignment, or granted, beside the table.
struct Inside {
    /// LEFT JOINs that find one row at most, which is why the planner drops what nothing reads.
    joins: String,
    /// True for rows of patients inside, cheap enough to stand in every column. Not `IS NOT NULL` of a joined
    /// column: a planner may know that to hold.
    condition: String,
}

impl Inside {
    fn new(policy: &Policy, table: &BoundTable, alias: &str, params: Option<GuardParams>) -> Self {
        let Some(params) = params else {
            return Inside { joins: String::new(), condition: "false".to_owned() };
        };
        match &table.rule.path {
            Path::One(path) => Inside::of_way(policy, table, path, alias, params),
            Path::When(_) => Inside::of_ways(policy, table, alias, params),
        }
    }

    /// Over the steps that lead to one row, then the assignment. Where that has no unique key, or the way goes on to
    /// several rows, those inside are looked for once a statement.
    fn of_way(policy: &Policy, table: &BoundTable, path: &KeyPath, alias: &str, params: GuardParams) -> Self {
        let mut joins = String::new();
        let mut at = alias.to_owned();
        let unique = path.steps.iter().take_while(|step| !step.many).count();
        for (i, step) in path.steps.iter().take(unique).enumerate() {
            let next = format!("{RESERVED_PREFIX}t{}", i + 1);
            joins.push_str(&format!(
                " LEFT JOIN {} AS {} ON {} OPERATOR(pg_catalog.=) {}",
                step.table.to_sql(),
                quote_ident(&next),
                col(&next, &step.references),
                col(&at, &step.column),
            ));
            at = next;
        }
        let rest = path.after(unique);
        let key = col(&at, rest.first_column());
        if !rest.steps.is_empty() || !policy.sources.is_empty() {
            let found = way::reaching(table, &rest, &visible_keys(policy, table, params));
            let [l, q, k] = ["l", "q", "k"].map(|n| format!("{RESERVED_PREFIX}{n}"));
            let condition = format!("{} OPERATOR(pg_catalog.=) {key}", col(&l, &k));
            joins.push_str(&format!(
                " LEFT JOIN (SELECT DISTINCT {} FROM ({found}) AS {} ({})) AS {} ON {condition}",
                col(&q, &k),
                quote_ident(&q),
                quote_ident(&k),
                quote_ident(&l),
            ));
            return Inside { joins, condition };
        }
        let assigned = format!("{RESERVED_PREFIX}a");
        let patient = col(&assigned, &policy.assignment.patient);
        joins.push_str(&format!(
            " LEFT JOIN {} AS {} ON {} AND {patient} OPERATOR(pg_catalog.=) {key}",
            policy.assignment.relation.to_sql(),
            quote_ident(&assigned),
            policy.assignment.holds_now(&format!("${}::pg_catalog.text", params.principal)),
        ));
        let mut condition = format!("{patient} OPERATOR(pg_catalog.=) {key}");
        if let Some(n) = params.grants {
            condition.push_str(&format!(
                " OR {key} OPERATOR(pg_catalog.=) ANY (${n}::{})",
                array_type(policy.key_type)
            ));
        }
        Inside { joins, condition }
    }

    /// Asked once a row, which may take any of the ways: looked for from the patients it would be all that those have.
    /// HAVING keeps the answer a column (`is_simple_subquery`) and says that there is one (`query_is_distinct_for`).
    /// LATERAL leaves the table itself to the conditions around.
    fn of_ways(policy: &Policy, table: &BoundTable, alias: &str, params: GuardParams) -> Self {
        let asked = way::takes_a_way(table, alias, &visible_keys(policy, table, params));
        let [l, m] = ["l", "m"].map(|n| format!("{RESERVED_PREFIX}{n}"));
        let joins = format!(
            " LEFT JOIN LATERAL (SELECT {asked} AS {} HAVING true) AS {} ON true",
            quote_ident(&m),
            quote_ident(&l),
        );
        Inside { joins, condition: col(&l, &m) }
    }
}

/// The bound: the set of visible keys of one relation under its local conjuncts, as a `text[]`
/// expression. `alias` names the relation inside and may be used by `local`.
pub fn bound_keys(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    filter: Option<GuardParams>,
    local: &[String],
) -> String {
    let mut conjuncts: Vec<String> =
        filter.iter().map(|p| guard_conjunct(policy, table, alias, *p)).collect();
    conjuncts.extend(local.iter().map(|l| format!("({l})")));
    let condition =
        if conjuncts.is_empty() { String::new() } else { format!(" WHERE {}", conjuncts.join(" AND ")) };
    format!(
        "ARRAY(SELECT DISTINCT {} FROM {} AS {}{condition})",
        key_rows(policy, table, alias, Named::under(filter)),
        table.name.to_sql(),
        quote_ident(alias),
    )
}

/// The alias [`bound_keys`] and the rewriter give to a table inside a subquery of ours. Always the same one: two
/// expressions of the client's that are equal must stay so (`GROUP BY (SELECT ...)`).
pub fn our_alias() -> String {
    ours("r1").trim_matches('"').to_owned()
}
