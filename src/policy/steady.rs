//! Whose a row is after a wait for its lock.
//!
//! At READ COMMITTED a statement that waits for a row lock goes on with the new version of that row
//! and tries its conditions again ("EvalPlanQual"), but every other table is still read by the
//! snapshot from before the wait. A guard that finds the patient over other tables would then judge
//! the new row by the way of the old one: another session that moves a visit to another patient and
//! changes its items would show those items to who waited for one. The text here lets pass what
//! the statement's own snapshot has seen, and of other rows those whose way has not been changed since;
//! for the rest the statement fails, as it would at REPEATABLE READ.
//!
//! Not here: the assignment, which a running statement reads once (a limitation of its own).

use super::closed;
use super::guard::visible_keys;
use super::path::{KeyPath, Path, Patients, Step};
use super::way::{chain, equal, is_visible, takes};
use super::{BoundTable, GuardParams, Policy, RESERVED_PREFIX, col};
use crate::catalog::{RelationKind, quote_ident, quote_literal};

/// What a steady row has to show when its statement waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Steady {
    /// The way from it to a visible patient is as it was.
    Way,
    /// Nothing does: the record was made of the row as it stood before (UPDATE of the patient).
    Never,
}

/// The marker at the start of the value that the server cannot read: error 22P02 with it is
/// [`GlsCode::RowMoved`](super::GlsCode::RowMoved).
pub const MOVED: &str = "GLS-211";

/// True when the patient of a row of this table stands in other tables, so that its guard is not tried
/// anew with it.
fn goes_through_others(table: &BoundTable) -> bool {
    table.rule.own_key().is_none()
}

/// True when rows stand in the relation itself and have a place there: not those of a view.
pub fn holds_rows(kind: RelationKind) -> bool {
    matches!(kind, RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable)
}

/// True when a guard of locked rows of the table needs [`steady_condition`] beside it.
pub fn is_steady(table: &BoundTable, kind: RelationKind) -> bool {
    goes_through_others(table) && holds_rows(kind)
}

/// A conjunct for a row under `alias` that is locked, to stand beside its guard: true when the
/// statement did not wait for it or `steady` still holds, else error 22P02 (see [`MOVED`]). Never
/// false: a row that has become another's must not look like one that never was.
///
/// A version of the row that the snapshot does not have came by the wait; a look by its place
/// (`ctid`) tells. With OFFSET it is never hashed, so that no write reads the table twice.
pub fn steady_condition(
    policy: &Policy,
    table: &BoundTable,
    alias: &str,
    params: GuardParams,
    steady: Steady,
) -> String {
    let seen = format!("{RESERVED_PREFIX}s");
    let place = |of: &str, column: &str| format!("{}.{column}", quote_ident(of));
    let same = ["ctid", "tableoid"].map(|c| equal(&place(&seen, c), &place(alias, c))).join(" AND ");
    let mut arms = format!(
        "WHEN EXISTS (SELECT 1 FROM {} CROSS JOIN {} AS {} WHERE {same} OFFSET 0) THEN true",
        cheap(),
        table.name.to_sql(),
        quote_ident(&seen),
    );
    let visible = visible_keys(policy, table, params);
    let ways = match steady {
        // Of rows of several patients, all of whom must be visible, others may have come.
        Steady::Way if !(table.rule.is_many() && table.rule.patients == Patients::All) => ways(table),
        Steady::Way | Steady::Never => Vec::new(),
    };
    for (taken, path) in ways {
        let Some((from, key)) = chain(path, 't', &col(alias, path.first_column())) else { continue };
        let at = |i: usize| format!("{RESERVED_PREFIX}t{i}");
        let unmoved: Vec<String> = (path.steps.iter().enumerate())
            .map(|(i, step)| unmoved(step, &if i == 0 { alias.to_owned() } else { at(i) }, &at(i + 1)))
            .collect();
        let taken = taken.map(|a| format!("{} AND ", takes(table, a, alias))).unwrap_or_default();
        arms.push_str(&format!(
            " WHEN {taken}EXISTS (SELECT 1 FROM {} CROSS JOIN {} AND {} AND {} OFFSET 0) THEN true",
            cheap(),
            from.strip_prefix("FROM ").unwrap_or(&from),
            unmoved.join(" AND "),
            closed::key_is_open(table, &key, params).unwrap_or_else(|| is_visible(&key, &visible))
        ));
    }
    format!("CASE {arms} ELSE pg_catalog.concat('{MOVED} ', {})::pg_catalog.bool END", place(alias, "ctid"))
}

/// One row that the planner takes for a thousand. It shares the cost of a subquery among the rows it
/// expects and counts the way's at every row, although hardly one asks for it: a write of some
/// thousand rows would be compiled (JIT), and be planned around the look at its place.
fn cheap() -> String {
    format!("pg_catalog.string_to_table('x', ',') AS {}", quote_ident(&format!("{RESERVED_PREFIX}n")))
}

/// The ways of the table's rows, with the alternative whose condition a row has to meet.
fn ways(table: &BoundTable) -> Vec<(Option<&super::path::Alternative>, &KeyPath)> {
    match &table.rule.path {
        Path::One(path) => vec![(None, path)],
        Path::When(alternatives) => alternatives.iter().map(|a| (Some(a), &a.path)).collect(),
    }
}

/// True when the row `at`, as the snapshot has it, is still there as its own newest version. `currtid2`
/// looks with a snapshot of its own for a newer version, but neither a row that went to another
/// partition nor one that was deleted leaves any. Deleted it cannot be when nobody has touched it
/// (`xmax`), or when a foreign key of `from`, the row before it on the way, holds it. The key is told by
/// its definition, in one look at one catalog: every part of this is planned with each write that is sent
/// as text, and two more joined catalogs took 0.35 ms of 0.9.
fn unmoved(step: &Step, from: &str, at: &str) -> String {
    let (from, at) = (quote_ident(from), quote_ident(at));
    let key = quote_ident(&format!("{RESERVED_PREFIX}f"));
    let relation = format!("{at}.tableoid::pg_catalog.regclass");
    let newest =
        equal(&format!("pg_catalog.currtid2({relation}::pg_catalog.text, {at}.ctid)"), &format!("{at}.ctid"));
    let name = |column: &str| format!("pg_catalog.quote_ident({})", quote_literal(column));
    let held = format!(
        "EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS {key} WHERE {} AND {key}.convalidated \
         AND NOT {key}.condeferrable AND {} AND {} AND pg_catalog.starts_with(pg_catalog.pg_get_constraintdef({key}.oid), \
         pg_catalog.concat('FOREIGN KEY (', {}, ') REFERENCES ', {relation}, '(', {}, ')')))",
        equal(&format!("{key}.contype"), "'f'"),
        equal(&format!("{key}.conrelid"), &format!("{from}.tableoid")),
        equal(&format!("{key}.confrelid"), &format!("{at}.tableoid")),
        name(&step.column),
        name(&step.references),
    );
    format!(
        "{newest} AND pg_catalog.pg_partition_root({relation}) IS NULL AND ({} OR {held})",
        equal(&format!("{at}.xmax"), "0"),
    )
}
