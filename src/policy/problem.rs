//! What of a policy does not fit the database it is held against, and the two misfits that no server would ever
//! report: columns on which `=` holds different texts for equal, and relations whose rows two entries claim.

use super::{Alternative, KeyPath, Path, Policy, Source, TableRule};
use crate::catalog::{Catalog, QualifiedName, Relation};

/// Something that does not fit. What rests on it is closed until it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What kind, the word of the finding that `pgglass check` makes of it.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<String> for Problem {
    /// A name, or a type, that is not what the configuration takes it for.
    fn from(message: String) -> Self {
        let help = "correct the name, or create it in the database".to_owned();
        Problem { code: "does-not-exist", message, help }
    }
}

/// `column` tells what no two values of it may be mixed up for, but its collation holds different texts for equal:
/// the rows of patients 'P1' and 'p1' would be one patient's.
fn loose(relation: &QualifiedName, column: &str, what: &str) -> Problem {
    Problem {
        code: "loose-collation",
        message: format!(
            "{relation}: column {column} {what}, but its collation is not deterministic: different texts are equal there"
        ),
        help: "give the column a deterministic collation (ALTER COLUMN ... TYPE ... COLLATE \"C\")"
            .to_owned(),
    }
}

/// A relation on the way from `relation` that has such a column there.
fn loose_way(path: &KeyPath, relation: &Relation, catalog: &Catalog) -> Option<Problem> {
    let what = "tells whose a row is";
    let of =
        |at: &Relation, column: &str| catalog.is_loose(at.oid, column).then(|| loose(&at.name, column, what));
    let mut at = relation;
    for step in &path.steps {
        let next = catalog.lookup(&step.table)?;
        let found = of(at, &step.column).or_else(|| of(next, &step.references));
        if found.is_some() {
            return found;
        }
        at = next;
    }
    of(at, &path.key)
}

/// Why the rule cannot tell the rows of `relation` apart, if so.
pub(super) fn loose_rule(rule: &TableRule, relation: &Relation, catalog: &Catalog) -> Option<Problem> {
    let tells = |a: &Alternative| {
        let loose_here = catalog.is_loose(relation.oid, &a.column);
        loose_here.then(|| loose(&relation.name, &a.column, "tells which way a row takes"))
    };
    match &rule.path {
        Path::One(path) => loose_way(path, relation, catalog),
        Path::When(all) => {
            all.iter().find_map(|a| tells(a).or_else(|| loose_way(&a.path, relation, catalog)))
        }
    }
}

/// Why labels cannot be told by `patient` of `relation`, if so.
pub(super) fn loose_label(relation: &Relation, patient: &str, catalog: &Catalog) -> Option<Problem> {
    catalog.is_loose(relation.oid, patient).then(|| loose(&relation.name, patient, "tells whose a label is"))
}

/// Columns of sources by which one user, or one patient, is taken for another. Of a query every column counts that
/// it names: what it joins by decides as much as what it yields.
pub(super) fn loose_sources(policy: &Policy, catalog: &Catalog) -> Vec<Problem> {
    let mut out = Vec::new();
    for source in policy.all_sources() {
        let columns = match &source {
            Source::Relation(a) => vec![a.principal.as_str(), a.patient.as_str()],
            Source::Query(_) => source.columns(),
        };
        for relation in source.relations().iter().filter_map(|name| catalog.lookup(name)) {
            let loose_here = columns.iter().filter(|c| catalog.is_loose(relation.oid, c));
            out.extend(loose_here.map(|c| loose(&relation.name, c, "tells who is assigned to whom")));
        }
    }
    out
}

/// `child` inherits from relations with entries that say different things of its rows.
pub(super) fn two_entries(child: &QualifiedName, parents: &[&QualifiedName]) -> Problem {
    let names: Vec<String> = parents.iter().map(ToString::to_string).collect();
    Problem {
        code: "two-entries",
        message: format!(
            "{child} inherits from {}, whose entries differ: its rows would be one patient's through the one and \
             another's through the other; all of them are closed",
            names.join(" and ")
        ),
        help: format!(
            "ALTER TABLE {} NO INHERIT one of them, or give them entries that say the same",
            child.to_sql()
        ),
    }
}

/// True when two entries say the same of a row, whichever of the two it is read through.
pub(super) fn agree(policy: &Policy, a: &TableRule, b: &TableRule) -> bool {
    if a.name == b.name {
        return true;
    }
    let masks_agree = policy.roles.values().all(|r| {
        r.masks.get(&a.name) == r.masks.get(&b.name)
            && r.masking.outside.get(&a.name) == r.masking.outside.get(&b.name)
    });
    masks_agree && TableRule { name: a.name.clone(), ..b.clone() } == *a
}
