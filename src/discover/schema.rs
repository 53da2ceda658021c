//! A database as discovery sees it: tables with their columns and keys, and the edges between them, each with where
//! it comes from (a foreign key, or a name). Nothing of patients yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::words::{normal, relation_words, words};
use super::{Options, Survey};
use crate::catalog::{Catalog, Column, Facts, Oid, Relation, RelationKind};
use crate::policy::{HipaaIdentifier, column_family, identifier_of, without_modifier};

/// A column.
#[derive(Debug)]
pub(super) struct Col {
    pub(super) name: String,
    pub(super) words: Vec<String>,
    /// [`normal`] of the name.
    pub(super) normal: String,
    /// Its type without modifier, the base type of a domain.
    pub(super) base: String,
    pub(super) not_null: bool,
    /// No two rows have the same value.
    pub(super) unique: bool,
    /// What of people it holds, by its name and type.
    pub(super) identifier: Option<HipaaIdentifier>,
}

/// A table, view, materialized view or foreign table that is no partition of another.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) relation: &'a Relation,
    pub(super) words: Vec<String>,
    pub(super) columns: Vec<Col>,
    /// The column that names a row: unique, or by its name meant to be.
    pub(super) key: Option<usize>,
}

impl Table<'_> {
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Tables, which can have keys; what is left are views and foreign tables.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
    }
}

/// Where an edge comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A foreign key of one column, or the column of a longer one that is unique by itself.
    ForeignKey,
    /// The column is named as the key of the other table (`person_id`), or as the table (`patient`).
    Name,
    /// The column's name ends in that (`preceding_visit_occurrence_id`).
    NameEnd,
}

/// `column` of a table holds values of `references` of table `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) column: usize,
    pub(super) to: usize,
    pub(super) references: usize,
    pub(super) source: Source,
}

/// The database.
#[derive(Debug)]
pub(super) struct Schema<'a> {
    /// In order of name.
    pub(super) tables: Vec<Table<'a>>,
    pub(super) by_oid: HashMap<Oid, usize>,
    /// By table, in order of columns.
    pub(super) edges: Vec<Vec<Edge>>,
    /// Foreign keys of several columns that no edge stands for.
    pub(super) composite: Vec<(usize, usize, Vec<String>)>,
}

/// Keys whose name says nothing of the table.
const PLAIN_KEYS: [&str; 8] = ["id", "uuid", "guid", "pk", "key", "oid", "row_id", "fhir_id"];

impl<'a> Schema<'a> {
    pub(super) fn new(catalog: &'a Catalog, facts: &Facts, survey: &Survey, options: &Options) -> Self {
        let mut relations: Vec<&Relation> = catalog
            .relations
            .values()
            .filter(|r| {
                options.takes(&r.name.schema) && is_wanted(r) && !survey.of_extensions.contains(&r.oid)
            })
            // A partition has its parent's rule.
            .filter(|r| !r.parents.iter().any(|p| catalog.relations.contains_key(p)))
            .collect();
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        let tables: Vec<Table<'_>> = relations.into_iter().map(|r| table(r, facts, survey)).collect();
        let by_oid = tables.iter().enumerate().map(|(i, t)| (t.relation.oid, i)).collect();
        let mut schema =
            Self { edges: vec![Vec::new(); tables.len()], tables, by_oid, composite: Vec::new() };
        schema.foreign_keys(facts);
        schema.names();
        for edges in &mut schema.edges {
            edges.sort_by_key(|e| (e.column, e.source));
        }
        schema
    }

    pub(super) fn edge_column(&self, table: usize, edge: &Edge) -> &Col {
        &self.tables[table].columns[edge.column]
    }

    fn foreign_keys(&mut self, facts: &Facts) {
        for fk in &facts.foreign_keys {
            let (Some(&from), Some(&to)) = (self.by_oid.get(&fk.from), self.by_oid.get(&fk.to)) else {
                continue;
            };
            let (child, parent) = (&self.tables[from], &self.tables[to]);
            let pairs: Vec<(usize, usize)> = fk
                .columns
                .iter()
                .zip(&fk.references)
                .filter_map(|(c, r)| Some((child.column(c)?, parent.column(r)?)))
                .collect();
            let single = pairs.len() == 1;
            let mut found = false;
            for (column, references) in pairs {
                if single || parent.columns[references].unique {
                    found = true;
                    self.edges[from].push(Edge { column, to, references, source: Source::ForeignKey });
                }
            }
            if !found {
                self.composite.push((from, to, fk.columns.clone()));
            }
        }
    }

    /// Edges that no foreign key says: many schemas are created without any.
    fn names(&mut self) {
        let homes = self.homes();
        for from in 0..self.tables.len() {
            let child = &self.tables[from];
            let with_key: BTreeSet<usize> = self.edges[from].iter().map(|e| e.column).collect();
            let mut found = Vec::new();
            for (column, col) in child.columns.iter().enumerate() {
                if with_key.contains(&column) || PLAIN_KEYS.contains(&col.normal.as_str()) {
                    continue;
                }
                // The key of the table itself leads nowhere, unless a table of its own has that name.
                let own = child.key == Some(column);
                let exact = self.home(&homes, &col.normal, from, col).map(|home| (home, Source::Name));
                let ends = || ends(&col.normal).find_map(|end| self.home(&homes, end, from, col));
                let by_end = || if own { None } else { ends().map(|home| (home, Source::NameEnd)) };
                if let Some(((to, references), source)) = exact.or_else(by_end) {
                    found.push(Edge { column, to, references, source });
                }
            }
            self.edges[from].extend(found);
        }
    }

    /// By a name that a column may have in another table: the tables and keys it may mean.
    fn homes(&self) -> BTreeMap<String, Vec<(usize, usize)>> {
        let mut homes: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
        // By table, the unique columns that foreign keys lead to.
        let mut referenced: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.tables.len()];
        for edge in self.edges.iter().flatten() {
            if self.tables[edge.to].columns[edge.references].unique {
                referenced[edge.to].insert(edge.references);
            }
        }
        for (i, table) in self.tables.iter().enumerate().filter(|(_, t)| t.is_table()) {
            for (k, col) in table.columns.iter().enumerate() {
                if !(col.unique || table.key == Some(k)) {
                    continue;
                }
                let stem = table.words.join("_");
                if PLAIN_KEYS.contains(&col.normal.as_str()) {
                    // A number of rows (MIMIC-III's `row_id`) that no foreign key leads to, beside a key they lead to.
                    let meant = match referenced[i].iter().collect::<Vec<_>>()[..] {
                        [one] if !referenced[i].contains(&k) => *one,
                        _ => k,
                    };
                    let own_name = |name: &str| table.columns.iter().any(|c| c.unique && c.normal == name);
                    for alias in
                        [format!("{stem}_{}", col.normal), format!("{stem}_id"), format!("{stem}id"), stem]
                    {
                        if !own_name(&alias) {
                            homes.entry(alias).or_default().push((i, meant));
                        }
                    }
                } else if names_rows(col) {
                    homes.entry(col.normal.clone()).or_default().push((i, k));
                }
            }
        }
        for list in homes.values_mut() {
            list.dedup();
        }
        homes
    }

    /// The one home of `name` for a column of table `from`, if it is clear which.
    fn home(
        &self,
        homes: &BTreeMap<String, Vec<(usize, usize)>>,
        name: &str,
        from: usize,
        col: &Col,
    ) -> Option<(usize, usize)> {
        let comparable = |(to, key): &&(usize, usize)| {
            let base = &self.tables[*to].columns[*key].base;
            *to != from && column_family(base) == column_family(&col.base)
        };
        let list: Vec<(usize, usize)> = homes.get(name)?.iter().filter(comparable).copied().collect();
        let named = |(to, _): &&(usize, usize)| {
            let stem = self.tables[*to].words.join("_");
            name == stem || name.strip_prefix(stem.as_str()).is_some_and(|rest| rest.starts_with('_'))
        };
        let near = |(to, _): &&(usize, usize)| {
            self.tables[*to].relation.name.schema == self.tables[from].relation.name.schema
        };
        let one = |found: Vec<(usize, usize)>| match found.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        one(list.clone())
            .or_else(|| one(list.iter().filter(named).copied().collect()))
            .or_else(|| one(list.iter().filter(named).filter(near).copied().collect()))
            .or_else(|| one(list.iter().filter(near).copied().collect()))
    }
}

/// The ends of a name that have at least two words, longest first: `preceding_visit_id` -> `visit_id`.
fn ends(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('_').map(|(at, _)| &name[at + 1..]).filter(|end| end.contains('_'))
}

/// Columns that name rows by their own name: `person_id`, `hadm_id`, `itemid`, `mrn`.
fn names_rows(col: &Col) -> bool {
    const ENDS: [&str; 9] = ["id", "uuid", "guid", "key", "no", "nr", "number", "mrn", "ssn"];
    let last = col.words.iter().rev().find(|w| !w.chars().all(|c| c.is_ascii_digit()));
    last.is_some_and(|w| ENDS.contains(&w.as_str()) || (w.len() > 3 && w.ends_with("id")))
}

fn is_wanted(relation: &Relation) -> bool {
    let system = crate::policy::is_system_schema(&relation.name.schema);
    let kind = matches!(
        relation.kind,
        RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::ForeignTable
    );
    kind && !system
}

fn table<'a>(relation: &'a Relation, facts: &Facts, survey: &Survey) -> Table<'a> {
    let words_of_table = relation_words(&relation.name.name);
    let not_null = survey.not_null.get(&relation.oid);
    let unique: BTreeSet<&str> = facts
        .unique
        .get(&relation.oid)
        .into_iter()
        .flatten()
        .filter(|key| key.len() == 1)
        .flatten()
        .map(String::as_str)
        .collect();
    let columns: Vec<Col> = relation
        .columns
        .iter()
        .map(|c| (c, base_type(c, facts)))
        .map(|(c, base)| Col {
            words: words(&c.name),
            normal: normal(&c.name),
            identifier: identifier_of(&c.name, &base),
            base,
            not_null: not_null.is_some_and(|n| n.contains(&c.name)),
            unique: unique.contains(c.name.as_str()),
            name: c.name.clone(),
        })
        .collect();
    let stem = words_of_table.join("_");
    let own_name = |c: &Col| c.normal == format!("{stem}_id") || c.normal == format!("{stem}id");
    let plain = |c: &Col| PLAIN_KEYS.contains(&c.normal.as_str());
    let place = |wanted: &dyn Fn(&Col) -> bool| columns.iter().position(wanted);
    let key = place(&|c| c.unique && own_name(c))
        .or_else(|| place(&|c| c.unique && plain(c)))
        .or_else(|| place(&|c| c.unique && names_rows(c)))
        .or_else(|| place(&|c| c.unique))
        .or_else(|| place(&own_name))
        .or_else(|| place(&plain));
    Table { relation, words: words_of_table, columns, key }
}

/// The type without modifier; of a domain what stands behind it.
fn base_type(column: &Column, facts: &Facts) -> String {
    match facts.domains.get(&column.type_oid) {
        Some(domain) => domain.base_sql.clone(),
        None => without_modifier(&column.type_sql).to_owned(),
    }
}
