//! A first configuration for a database that nobody described yet: which table holds the patients, how each other
//! table's rows are tied to them, what everyone may read, what only somebody who knows the database can decide.
//!
//! Pure: the catalog goes in, a TOML text with comments comes out. No row of a table is looked at here.

mod assignment;
mod classes;
mod entries;
mod extensions;
mod found;
mod known;
mod lists;
mod paths;
mod patient;
mod roles;
mod schema;
mod staff;
mod text;
mod words;
mod write;

use crate::catalog::{Catalog, Facts, Groups, Oid, QualifiedName, Survey};
use found::Found;
use schema::{Schema, Source};
pub(crate) use text::shown;

/// Marks a line of the file that holds a placeholder.
pub(crate) const CHANGE: &str = "# <-- CHANGE";

/// What the user says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Schemas to look at; empty: all but the system's.
    pub schemas: Vec<String>,
    /// The table of patients, if it is known.
    pub patient_table: Option<QualifiedName>,
    /// Its key column, if it is known.
    pub patient_key: Option<String>,
}

impl Options {
    fn takes(&self, schema: &str) -> bool {
        self.schemas.is_empty() || self.schemas.iter().any(|s| s == schema)
    }
}

/// Where the database is, for the file.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `disable`, `require` or `verify-full`.
    pub tls: &'static str,
    /// File with the authorities, for `verify-full`.
    pub ca: Option<String>,
    /// Database.
    pub database: String,
    /// Counts of matching keys were looked at.
    pub sampled: bool,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// No relation at all.
    #[error(
        "there is no table in {place}: nothing to describe. Is it the right database? Name its schemas with --schema"
    )]
    Empty {
        /// Where was looked.
        place: String,
    },
    /// No table looks like patients.
    #[error(
        "no table looks like one of patients{}; name it: --patient-table SCHEMA.TABLE --patient-key COLUMN",
        if candidates.is_empty() { String::new() } else { format!(" (most lead to: {})", candidates.join(", ")) }
    )]
    NoPatientTable {
        /// The tables that most others lead to.
        candidates: Vec<String>,
    },
    /// The table named is not there.
    #[error(
        "there is no table {name}; names are case-sensitive, as SCHEMA.TABLE (a dot or quote in a part: \"a.b\".c)"
    )]
    NoSuchTable {
        /// As it was named.
        name: String,
    },
    /// More than one table has the name.
    #[error("several tables have that name: {}; write the schema, too", names.join(", "))]
    SeveralTables {
        /// Their names.
        names: Vec<String>,
    },
    /// The column named is not there.
    #[error("{table} has no column {column}; names are case-sensitive")]
    NoSuchColumn {
        /// The table.
        table: String,
        /// As it was named.
        column: String,
    },
    /// It has no column that could be a key.
    #[error("{table} has no unique column that could be the patient key; name one: --patient-key COLUMN")]
    NoKey {
        /// The table.
        table: String,
    },
    /// The key's type is none that is supported.
    #[error(
        "{column} is of type {base}; a patient key is int4, int8, text, varchar or uuid. Name another unique column \
         with --patient-key, or change the type"
    )]
    KeyType {
        /// The column.
        column: String,
        /// Its type.
        base: String,
    },
}

/// What was found, to be written or looked at more closely.
#[derive(Debug)]
pub struct Discovery<'a> {
    schema: Schema<'a>,
    found: Found,
}

/// An edge that no foreign key says, to be counted: of `child` column, how many values are in `parent` column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guess {
    /// The table with the column.
    pub child: QualifiedName,
    /// The column.
    pub column: String,
    /// Where its values should be.
    pub parent: QualifiedName,
    /// The column there.
    pub references: String,
}

impl<'a> Discovery<'a> {
    /// Finds out what the catalog tells.
    ///
    /// # Errors
    /// [`DiscoverError`]: then there is nothing that could be written.
    pub fn new(
        catalog: &'a Catalog,
        facts: &Facts,
        survey: &Survey,
        options: &Options,
    ) -> Result<Self, DiscoverError> {
        let schema = Schema::new(catalog, facts, survey, options);
        if schema.tables.is_empty() {
            let schemas: Vec<String> = options.schemas.iter().map(|s| shown(s)).collect();
            let place = if schemas.is_empty() {
                "the database".to_owned()
            } else {
                format!("schema {}", schemas.join(", "))
            };
            return Err(DiscoverError::Empty { place });
        }
        let found = Found::new(&schema, facts, survey, options)?;
        Ok(Self { schema, found })
    }

    /// The relations of patients: what groups of people are asked about.
    pub fn protected(&self) -> Vec<Oid> {
        self.found.entries.iter().map(|e| self.schema.tables[e.table].relation.oid).collect()
    }

    /// The ways that rest on names alone, in order.
    pub fn guesses(&self) -> Vec<Guess> {
        let mut out: Vec<Guess> = Vec::new();
        for entry in &self.found.entries {
            let found::Owner::Way(way) = &entry.owner else { continue };
            let column = |t: usize, c: usize| self.schema.tables[t].columns[c].name.clone();
            let named = |t: usize| self.schema.tables[t].relation.name.clone();
            for hop in way.hops.iter().filter(|h| h.source != Source::ForeignKey) {
                let (from, to) = ((hop.from, hop.column), (hop.to, hop.references));
                let (child, parent) = if hop.many { (to, from) } else { (from, to) };
                out.push(Guess {
                    child: named(child.0),
                    column: column(child.0, child.1),
                    parent: named(parent.0),
                    references: column(parent.0, parent.1),
                });
            }
            let by_name = match way.key_source {
                paths::KeySource::Word => true,
                paths::KeySource::Edge(source) => source != Source::ForeignKey,
                paths::KeySource::Itself | paths::KeySource::ViewColumn => false,
            };
            if by_name && way.hops.is_empty() {
                let patient = &self.found.patient;
                out.push(Guess {
                    child: named(entry.table),
                    column: column(entry.table, way.key),
                    parent: named(patient.table),
                    references: column(patient.table, patient.key),
                });
            }
        }
        out.sort();
        out.dedup();
        out
    }

    /// Notes on what was counted: `said` goes to the entry of `guess`.
    pub fn note(&mut self, guess: &Guess, said: &str) {
        let schema = &self.schema;
        let of_guess = |table: usize| {
            let name = &schema.tables[table].relation.name;
            *name == guess.child || *name == guess.parent
        };
        for entry in self.found.entries.iter_mut().filter(|e| of_guess(e.table)) {
            if schema.tables[entry.table].relation.name == guess.child {
                entry.notes.push(format!("{}: {said}", guess.column));
            }
        }
    }

    /// The configuration.
    pub fn write(&self, groups: &Groups, server: &Server) -> String {
        write::write(&self.schema, &self.found, groups, server)
    }
}
