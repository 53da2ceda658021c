//! What a write changes beyond its own table: foreign keys with an action (ON DELETE CASCADE, SET NULL, SET DEFAULT,
//! ON UPDATE CASCADE ...). PostgreSQL does it behind every condition and asks for nobody's rights, so that the only
//! place to keep another patient's row from it is the row that would set it off. The text of that condition, and of the
//! patients whose rows are changed so, is made here; the rewriter places it, the checker compares against it.

use std::collections::{BTreeSet, HashSet};

use super::guard::{Named, guard_conjunct, key_rows, visible_condition};
use super::way::equal;
use super::{Access, BoundPolicy, BoundTable, GuardParams, RESERVED_PREFIX, Role, col};
use crate::catalog::{Catalog, ForeignKey, Oid, quote_ident};

/// What a write does to the rows of its own table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// DELETE.
    Delete,
    /// UPDATE of these columns.
    Update(BTreeSet<String>),
}

impl Change {
    /// True when this change of a row sets off an action of `key`, which refers to it.
    fn sets_off(&self, key: &ForeignKey, catalog: &Catalog) -> bool {
        let [delete, update] = key.actions;
        match self {
            Change::Delete => acts(delete),
            Change::Update(columns) => {
                let referred = |column: &str| key.references.iter().any(|r| r == column);
                acts(update) && (columns.iter().any(|c| referred(c)) || catalog.computes(key.to, referred))
            }
        }
    }

    /// What happens to the rows that refer to it by `key` then.
    fn onward(&self, key: &ForeignKey) -> Change {
        match self {
            Change::Delete if key.actions[0] == 'c' => Change::Delete,
            Change::Delete | Change::Update(_) => Change::Update(key.columns.iter().cloned().collect()),
        }
    }
}

/// True for an action (`pg_constraint.confdeltype`, `confupdtype`) that changes rows.
fn acts(action: char) -> bool {
    matches!(action, 'c' | 'n' | 'd')
}

/// Foreign keys, each of the table that the one before is of, by which a write changes rows that can be of other
/// patients than the row written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain<'a> {
    keys: Vec<&'a ForeignKey>,
    /// The protected table at its end.
    table: &'a BoundTable,
    /// Rows there can be hidden from the role.
    hides: bool,
}

impl Chain<'_> {
    /// The relation whose rows are changed.
    pub fn end(&self) -> &BoundTable {
        self.table
    }

    /// Every relation on the way.
    pub fn relations(&self) -> impl Iterator<Item = Oid> {
        self.keys.iter().map(|key| key.from)
    }

    /// True when rows that the role may not see can be among them.
    pub fn hides(&self) -> bool {
        self.hides
    }
}

/// Most foreign keys that one chain has.
const LONGEST: usize = 8;
/// Most chains that one write has.
const MOST: usize = 64;

/// Every chain of a `change` of rows of `oid`, as `role` sees their ends.
///
/// # Errors
/// What they do that no condition can keep them from: rows of a relation that is closed to the role, or that decides
/// whose rows of others are, are changed; rows are given to other patients; rows are hidden from the condition itself; a
/// circle; too many.
pub fn chains<'a>(
    bound: &'a BoundPolicy,
    role: &Role,
    catalog: &'a Catalog,
    oid: Oid,
    change: &Change,
) -> Result<Vec<Chain<'a>>, String> {
    let mut follower = Follower { bound, role, catalog, found: Vec::new(), seen: HashSet::new() };
    if !catalog.foreign_keys.is_empty() {
        follower.follow(oid, change, &mut Vec::new())?;
    }
    Ok(follower.found)
}

struct Follower<'a, 'r> {
    bound: &'a BoundPolicy,
    role: &'r Role,
    catalog: &'a Catalog,
    found: Vec<Chain<'a>>,
    /// Changes of rows that are of the patient of the row written: followed once.
    seen: HashSet<(Oid, Change)>,
}

impl<'a> Follower<'a, '_> {
    fn follow(&mut self, oid: Oid, change: &Change, before: &mut Vec<&'a ForeignKey>) -> Result<(), String> {
        // What refers to the relation, to what it is a part of, or to a part of it.
        let kin: HashSet<Oid> = self.catalog.kin(oid);
        let catalog = self.catalog;
        let keys = catalog.foreign_keys.iter().filter(|key| kin.contains(&key.to));
        for key in keys.filter(|key| change.sets_off(key, catalog)) {
            let onward = change.onward(key);
            // The condition of the row written, or at the end of the chain so far, holds for these, too.
            let pair = same_patient(self.bound, catalog, key, oid);
            self.may_change(key, oid, change, &onward, pair)?;
            let same = pair.is_some() && !self.closes(key.from);
            if same && before.is_empty() {
                if self.seen.insert((key.from, onward.clone())) {
                    self.follow(key.from, &onward, before)?;
                }
                continue;
            }
            let name = |oid| catalog.relation(oid).map(|r| r.name.to_string()).unwrap_or_default();
            if before.contains(&key) || before.len() >= LONGEST {
                return Err(format!("foreign keys with an action lead from {0} back to {0}", name(key.from)));
            }
            before.push(key);
            if catalog.relation(key.from).is_none_or(|r| r.row_security) {
                return Err(format!(
                    "row-level security of {} hides rows from whoever looks",
                    name(key.from)
                ));
            }
            if let Some(table) = self.bound.tables.get(&key.from).filter(|_| !same) {
                if self.found.len() >= MOST {
                    return Err(format!("more than {MOST} foreign keys with an action go out from it"));
                }
                let hides = self.hides(key.from);
                let table = self.bound.table_for(self.role, key.from).unwrap_or(table);
                self.found.push(Chain { keys: before.clone(), table, hides });
            }
            self.follow(key.from, &onward, before)?;
            before.pop();
        }
        Ok(())
    }

    /// True when rows of a protected relation can be hidden from the role.
    fn hides(&self, oid: Oid) -> bool {
        if !self.role.is_restricted() {
            return false;
        }
        match self.bound.access(self.role, oid) {
            Access::Protected { table, filter, masks, .. } => {
                filter || masks.outside.is_some() || table.hides_rows()
            }
            Access::Denied(_) => self.bound.tables.contains_key(&oid),
            Access::Free => false,
        }
    }

    /// True when rows of a category that is closed to the role can be in the relation.
    fn closes(&self, oid: Oid) -> bool {
        match self.bound.table_for(self.role, oid) {
            Some(table) => table.closed.as_ref().is_some_and(|closed| closed.by_category()),
            None => self.role.limited && self.bound.tables.contains_key(&oid),
        }
    }

    /// Nothing of what a condition over the rows as they are cannot tell.
    fn may_change(
        &self,
        key: &ForeignKey,
        to: Oid,
        cause: &Change,
        change: &Change,
        pair: Option<&str>,
    ) -> Result<(), String> {
        let action = key.actions[usize::from(*cause != Change::Delete)];
        let name = || self.catalog.relation(key.from).map(|r| r.name.to_string()).unwrap_or_default();
        let tells = self.bound.tellers.contains(&key.from);
        let own = self.bound.tables.get(&to).and_then(|t| t.rule.own_key());
        if tells
            && *change == Change::Delete
            && own.is_some_and(|own| key.references.iter().any(|r| r == own))
        {
            // Who was assigned to the patient who goes, and the patient's labels.
            return Ok(());
        }
        let changes = |column: &str| match change {
            Change::Delete => tells,
            Change::Update(columns) => columns.contains(column),
        };
        let mut links = self.bound.links.get(&key.from).into_iter().flatten();
        if self.role.is_filtered() && links.any(|column| changes(column)) {
            return Err(format!("rows of {} decide whose rows of other tables are", name()));
        }
        if let Some(table) = self.bound.tables.get(&key.from) {
            let table = self.bound.table_for(self.role, key.from).unwrap_or(table);
            // NULL makes them nobody's.
            let gives = *change != Change::Delete && action != 'n';
            let given = |column: &&str| changes(column) && (pair != Some(*column) || action == 'd');
            if gives && table.deciding_columns().iter().any(given) {
                return Err(format!("rows of {} can become another patient's", name()));
            }
        }
        match self.bound.access(self.role, key.from) {
            Access::Denied(_) => Err(format!("{} is closed to the role", name())),
            Access::Free | Access::Protected { .. } => Ok(()),
        }
    }
}

/// The column by which a row is the patient's of the row of `to` that it refers to; `None` when it can be another's.
pub(super) fn same_patient<'k>(
    bound: &BoundPolicy,
    catalog: &Catalog,
    key: &'k ForeignKey,
    to: Oid,
) -> Option<&'k str> {
    let (from, to) = (bound.tables.get(&key.from)?, bound.tables.get(&to)?);
    let mut pairs = key.columns.iter().zip(&key.references);
    let found = pairs.find(|(column, references)| {
        let keys = from.rule.own_key().zip(to.rule.own_key());
        let by_key = keys.is_some_and(|(f, t)| f == *column && t == *references);
        let by_path = from.rule.single().zip(to.rule.single()).is_some_and(|(f, t)| {
            f.steps.split_first().is_some_and(|(step, rest)| {
                step.column == **column
                    && step.references == **references
                    && !step.many
                    && rest == t.steps.as_slice()
                    && f.key == t.key
                    && catalog.lookup(&step.table).is_some_and(|r| r.oid == key.to)
            })
        });
        by_key || by_path
    });
    found.map(|(column, _)| column.as_str())
}

/// The alias of the relation at place `i` of a chain.
fn alias_at(i: usize) -> String {
    format!("{RESERVED_PREFIX}c{}", i + 1)
}

/// `FROM` over all tables of a chain, and the condition that ties the first to the row `alias`. The last one has
/// the alias `last`, if given.
fn joined(chain: &Chain<'_>, catalog: &Catalog, alias: &str, last: Option<&str>) -> (String, String) {
    let end = chain.keys.len().saturating_sub(1);
    let named = |i: usize| last.filter(|_| i == end).map_or_else(|| alias_at(i), str::to_owned);
    let mut from = Vec::new();
    let mut ties = Vec::new();
    let mut before = alias.to_owned();
    for (i, key) in chain.keys.iter().enumerate() {
        let at = named(i);
        let table = catalog.relation(key.from).map(|r| r.name.to_sql()).unwrap_or_default();
        from.push(format!("{table} AS {}", quote_ident(&at)));
        let pairs = key.columns.iter().zip(&key.references);
        ties.extend(pairs.map(|(column, references)| equal(&col(&at, column), &col(&before, references))));
        before = at;
    }
    (from.join(", "), ties.join(" AND "))
}

/// Conjuncts for a row under `alias` that is about to be changed: true when no row is changed with it that is hidden
/// from the role.
pub fn untouched(
    bound: &BoundPolicy,
    catalog: &Catalog,
    chains: &[Chain<'_>],
    alias: &str,
    params: GuardParams,
) -> Vec<String> {
    let hides = chains.iter().filter(|chain| chain.hides);
    hides
        .map(|chain| {
            let (from, ties) = joined(chain, catalog, alias, None);
            let end = alias_at(chain.keys.len().saturating_sub(1));
            let visible = visible_condition(&bound.policy, chain.table, &end, params);
            format!("(NOT EXISTS (SELECT 1 FROM {from} WHERE {ties} AND {visible} IS NOT TRUE))")
        })
        .collect()
}

/// The patients of the rows at the end of a chain that a change of the rows of `relation` reaches, as a `text[]`
/// expression: of rows that meet the conditions `local` over `alias`, and of what the role may see (`filter` by relation).
pub fn reached_keys(
    bound: &BoundPolicy,
    role: &Role,
    catalog: &Catalog,
    (oid, alias, local): (Oid, &str, &[String]),
    chain: &Chain<'_>,
    params: GuardParams,
) -> String {
    let last = format!("{RESERVED_PREFIX}r2");
    let (from, ties) = joined(chain, catalog, alias, Some(&last));
    let end = chain.keys.len().saturating_sub(1);
    let mut conditions = vec![ties];
    let relations = std::iter::once((oid, alias.to_owned())).chain(
        chain
            .keys
            .iter()
            .enumerate()
            .map(|(i, key)| (key.from, if i == end { last.clone() } else { alias_at(i) })),
    );
    for (oid, alias) in relations {
        if let Access::Protected { table, filter: true, .. } = bound.access(role, oid) {
            conditions.push(guard_conjunct(&bound.policy, table, &alias, params));
        }
    }
    conditions.extend(local.iter().map(|l| format!("({l})")));
    let own = catalog.relation(oid).map(|r| r.name.to_sql()).unwrap_or_default();
    let filter = matches!(bound.access(role, chain.table.oid), Access::Protected { filter: true, .. });
    format!(
        "ARRAY(SELECT DISTINCT {} FROM {own} AS {}, {from} WHERE {})",
        key_rows(&bound.policy, chain.table, &last, Named::under(filter.then_some(params))),
        quote_ident(alias),
        conditions.join(" AND "),
    )
}
