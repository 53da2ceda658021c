//! What of every column a role was shown, kept from one binding of a policy to the next. Masks go by the names of
//! columns, and a column that is renamed while the proxy runs keeps its values and loses its mask. A relation in which
//! a column would show a role more than before is closed to that role until the column has its name again, or a policy
//! is loaded that names it as it is called now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{Access, BoundPolicy, BoundTable, Mask, Policy, Problem, Role, TableMasks};
use crate::catalog::{Catalog, Column, Oid, QualifiedName, Relation, RelationKind};

/// What the columns of relations showed, by role and relation.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    roles: HashMap<Arc<str>, HashMap<Oid, Columns>>,
}

/// The code of what is closed as it shows more than it did. It is no fault of a policy that is loaded, which may be for
/// another reason.
pub(super) const STILL_CLOSED: &str = "mask-moved";

/// Relations that are closed to roles, and why.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) shown: Shown,
    pub(super) closed: HashMap<Arc<str>, HashSet<Oid>>,
    pub(super) problems: Vec<Problem>,
}

/// The columns of one relation.
#[derive(Debug, Clone, Default)]
struct Columns {
    /// By number, which no other column of the relation ever has.
    by_number: BTreeMap<i16, Kept>,
    /// Names of masks for columns that the relation never had: what they were meant for is not known.
    missing: BTreeSet<String>,
    /// It is a view that took the name of a masked relation: what its columns show of that is not known.
    took_the_name: bool,
}

/// One column.
#[derive(Debug, Clone)]
struct Kept {
    first_name: String,
    first: Form,
    /// The form that showed the least.
    least: Form,
}

/// How a column is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    /// In rows of patients inside.
    inside: Option<Masked>,
    /// In rows of patients outside, where those are shown.
    outside: Option<Masked>,
    /// Masked as the server computes it from what is masked, and for nothing else.
    computed: bool,
}

/// A mask, and what its names mean.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Masked {
    mask: Mask,
    /// The table of surrogates, and the numbers of its two columns.
    surrogates: Option<(Oid, i16, i16)>,
}

impl Masked {
    fn of(mask: Mask, catalog: &Catalog) -> Masked {
        let surrogates = match &mask {
            Mask::Surrogate { table, value, surrogate } => catalog.lookup(table).and_then(|r| {
                let number = |name: &str| r.column(name).map(|c| c.attnum);
                Some((r.oid, number(value)?, number(surrogate)?))
            }),
            _ => None,
        };
        Masked { mask, surrogates }
    }
}

impl Form {
    fn of(
        bound: &BoundPolicy,
        catalog: &Catalog,
        role: &Role,
        table: &BoundTable,
        masks: &TableMasks<'_>,
        name: &str,
    ) -> Form {
        let closed = table.closed.as_ref().is_some_and(|c| c.columns().contains_key(name));
        let named = closed || bound.masks_of(role, table).is_some_and(|m| m.contains_key(name));
        let masked = |mask| Masked::of(mask, catalog);
        let inside = masks.own(name).cloned().map(masked);
        let outside = masks.outside.filter(|_| !masks.same_outside(name));
        let outside = outside.map(|outside| match outside.get(name) {
            Some(Some(mask)) => masked(mask.clone()),
            Some(None) | None => masked(Mask::Null),
        });
        Form { computed: inside.is_some() && !named, inside, outside }
    }

    /// True when it shows what `before` did not.
    fn shows_more(&self, before: &Form, column: &Column) -> bool {
        // What the server goes on computing is masked with what it is computed from now.
        let inside =
            !(before.computed && column.generated) && more(self.inside.as_ref(), before.inside.as_ref());
        inside || more(self.outside.as_ref(), before.outside.as_ref())
    }
}

fn more(now: Option<&Masked>, before: Option<&Masked>) -> bool {
    match (before, now) {
        (None, _) | (_, Some(Masked { mask: Mask::Null | Mask::Redact { .. }, .. })) => false,
        (Some(_), None) => true,
        (Some(before), Some(now)) => before != now,
    }
}

impl Shown {
    /// Holds what `bound` shows of every column against what this showed.
    pub(super) fn next(&self, bound: &BoundPolicy, catalog: &Catalog) -> Outcome {
        let mut out = Outcome { shown: self.clone(), ..Outcome::default() };
        let mut renamed: BTreeMap<(QualifiedName, String, String), Vec<&str>> = BTreeMap::new();
        let mut absent: BTreeMap<(QualifiedName, String), Vec<&str>> = BTreeMap::new();
        let mut replaced: BTreeMap<QualifiedName, Vec<&str>> = BTreeMap::new();
        for role in bound.policy.roles.values() {
            let columns = out.shown.roles.entry(Arc::clone(&role.name)).or_default();
            columns.retain(|oid, _| catalog.relation(*oid).is_some());
            let mut closed = HashSet::new();
            let mut found: Vec<(&Relation, &str, String)> = Vec::new();
            for oid in bound.tables.keys() {
                let Access::Protected { table, masks, .. } = bound.access(role, *oid) else { continue };
                let Some(relation) = catalog.relation(*oid) else { continue };
                if masks.is_empty() && !columns.contains_key(oid) {
                    continue;
                }
                let masked = role.masks.get(&table.rule.name).into_iter().flat_map(|m| m.keys());
                let there = |name: &str| relation.column(name).is_some();
                let form = |name: &str| Form::of(bound, catalog, role, table, &masks, name);
                let fresh = !columns.contains_key(oid);
                let is_view = matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
                let earlier =
                    |t: &&BoundTable| t.rule.name == table.rule.name && columns.contains_key(&t.oid);
                let took_the_name = fresh && is_view && bound.tables.values().any(|t| earlier(&t));
                let columns = columns.entry(*oid).or_default();
                columns.took_the_name |= took_the_name;
                if took_the_name {
                    replaced.entry(relation.name.clone()).or_default().push(&role.name);
                }
                if fresh {
                    columns.missing = masked.filter(|name| !there(name)).cloned().collect();
                }
                columns.missing.retain(|name| !there(name));
                if relation.name == table.rule.name {
                    for name in named(role, &table.rule.name).filter(|name| !there(name)) {
                        absent.entry((relation.name.clone(), name.clone())).or_default().push(&role.name);
                    }
                }
                let more = columns.look(relation, form);
                if !more.is_empty() || !columns.missing.is_empty() || columns.took_the_name {
                    closed.insert(*oid);
                }
                found.extend(more.into_iter().map(|(now, first)| (relation, now, first)));
            }
            for (relation, now, first) in found {
                // Said once, of what its parts have it from.
                let above = relation.parents.iter().any(|parent| closed.contains(parent));
                if !above {
                    let key = (relation.name.clone(), now.to_owned(), first);
                    renamed.entry(key).or_default().push(&role.name);
                }
            }
            spread(&mut closed, bound, catalog);
            if !closed.is_empty() {
                out.closed.insert(Arc::clone(&role.name), closed);
            }
        }
        out.problems.extend(renamed.into_iter().map(|(key, roles)| shows_more(&key, &roles)));
        out.problems.extend(absent.into_iter().map(|(key, roles)| is_absent(&key, &roles)));
        out.problems.extend(replaced.into_iter().map(|(name, roles)| is_replaced(&name, &roles)));
        out
    }

    /// What stays of this when a policy is loaded: a column that was renamed, and one whose mask changed although the
    /// policy says the same of its table, is as it was until the policy names it as it is called now.
    pub(super) fn loaded(&self, before: &BoundPolicy, now: &Policy, catalog: &Catalog) -> Shown {
        let mut kept = self.clone();
        for (role, relations) in &mut kept.roles {
            let (was, is) = (before.policy.roles.get(role.as_ref()), now.roles.get(role.as_ref()));
            let (Some(was), Some(is)) = (was, is) else {
                relations.clear();
                continue;
            };
            relations.retain(|oid, columns| {
                let rule = before.tables.get(oid).map(|t| &*t.rule);
                let (Some(rule), Some(relation)) = (rule, catalog.relation(*oid)) else { return false };
                let same = now.tables.iter().any(|other| other == rule)
                    && says(was, &rule.name) == says(is, &rule.name)
                    && before.policy.labels == now.labels;
                let names: BTreeMap<i16, &str> =
                    relation.columns.iter().map(|c| (c.attnum, c.name.as_str())).collect();
                columns.by_number.retain(|number, kept| {
                    let name = names.get(number).copied().unwrap_or_default();
                    !named(is, &rule.name).any(|n| n == name) && (same || name != kept.first_name)
                });
                (columns.missing, columns.took_the_name) = (BTreeSet::new(), false);
                !columns.by_number.is_empty()
            });
        }
        kept
    }
}

impl Columns {
    /// Takes the columns as they are now; those that show more than before, with the name each had at first.
    fn look<'r>(&mut self, relation: &'r Relation, form: impl Fn(&str) -> Form) -> Vec<(&'r str, String)> {
        let mut more = Vec::new();
        let mut now: BTreeMap<i16, (&str, Form)> = BTreeMap::new();
        for column in &relation.columns {
            let form = form(&column.name);
            if let Some(kept) = self.by_number.get(&column.attnum) {
                let as_at_first = kept.first_name == column.name && kept.first == form;
                if !as_at_first && form.shows_more(&kept.least, column) {
                    more.push((column.name.as_str(), kept.first_name.clone()));
                }
            }
            now.insert(column.attnum, (&column.name, form));
        }
        self.by_number.retain(|number, _| now.contains_key(number));
        for (number, (name, form)) in now {
            match self.by_number.get_mut(&number) {
                None => {
                    let kept = Kept { first_name: name.to_owned(), first: form.clone(), least: form };
                    self.by_number.insert(number, kept);
                }
                // Names that are being exchanged are taken as they are when that is done.
                Some(kept) if more.is_empty() => kept.least = form,
                Some(_) => {}
            }
        }
        more
    }
}

/// What decides how the columns of a relation are shown to `role`.
fn says<'r>(role: &'r Role, name: &QualifiedName) -> impl PartialEq + use<'r> {
    let masking = &role.masking;
    (
        (role.scope, role.outside, &role.outside_of, &role.categories, &role.labels),
        (role.masks.get(name), masking.preset.is_some(), masking.clear.get(name), masking.outside.get(name)),
    )
}

/// The columns of a table of which the policy says by name what they show `role`.
fn named<'r>(role: &'r Role, name: &QualifiedName) -> impl Iterator<Item = &'r String> {
    let masks = role.masks.get(name).into_iter().flat_map(|m| m.keys());
    let outside = role.masking.outside.get(name).into_iter().flat_map(|m| m.keys());
    let clear = role.masking.clear.get(name).into_iter().flatten();
    masks.chain(outside).chain(clear)
}

/// Through all above a closed relation its rows are read, and what is below it has its columns.
fn spread(closed: &mut HashSet<Oid>, bound: &BoundPolicy, catalog: &Catalog) {
    let kin: HashSet<Oid> = closed.iter().flat_map(|oid| catalog.kin(*oid)).collect();
    closed.extend(kin.into_iter().filter(|oid| bound.tables.contains_key(oid)));
}

fn shows_more((relation, now, first): &(QualifiedName, String, String), roles: &[&str]) -> Problem {
    let roles = roles.join(", ");
    let (was, new_name) = match now == first {
        true => (String::new(), "it"),
        false => (format!(", which was {first} when the policy was loaded,"), "the new name"),
    };
    Problem {
        code: STILL_CLOSED,
        message: format!(
            "{relation}: column {now}{was} is masked otherwise now, or not at all, for {roles}: {relation} is closed to \
             {roles}"
        ),
        help: format!(
            "undo the change of the column (or of the table of its surrogates), or give {new_name} its mask, or \"none\", in the configuration and reload it (SIGHUP)"
        ),
    }
}

fn is_replaced(relation: &QualifiedName, roles: &[&str]) -> Problem {
    let roles = roles.join(", ");
    Problem {
        code: STILL_CLOSED,
        message: format!("{relation} is another relation, a view, now: it is closed to {roles}, who had masks on it"),
        help: "look at what the columns of the view show, give them masks, and reload the configuration (SIGHUP)".to_owned(),
    }
}

fn is_absent((relation, column): &(QualifiedName, String), roles: &[&str]) -> Problem {
    Problem {
        code: "mask-column",
        message: format!("{relation} has no column {column}, for which {} has a mask", roles.join(", ")),
        help: "take it out of the configuration, or give the mask to the column by the name that it has"
            .to_owned(),
    }
}
