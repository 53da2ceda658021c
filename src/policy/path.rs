//! How a row belongs to its patients, as plain data. The SQL text made of it stands in `way`.

use std::collections::BTreeMap;

use super::{ColumnCategory, RowCategory};
use crate::catalog::QualifiedName;

/// One step from a table towards the patient: `column` of the table we stand on equals
/// `references` of `table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Column of the table we stand on.
    pub column: String,
    /// The table it points to.
    pub table: QualifiedName,
    /// The column there: a primary key or a unique column, unless `many`.
    pub references: String,
    /// `references` is not unique: the step reaches any number of rows, and with them of patients
    /// (an address and those who live there, an appointment and its participants).
    pub many: bool,
}

impl Step {
    /// A step over a unique column.
    pub fn new(column: impl Into<String>, table: QualifiedName, references: impl Into<String>) -> Self {
        Self { column: column.into(), table, references: references.into(), many: false }
    }
}

/// The way from a row to its patients: `steps` (none for a table that has the key itself), then
/// the column `key` of the last table. A row whose key is NULL is nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPath {
    /// Steps to other tables.
    pub steps: Vec<Step>,
    /// The key column of the last table.
    pub key: String,
}

impl KeyPath {
    /// The column of the table itself that the way begins with.
    pub fn first_column(&self) -> &str {
        self.steps.first().map_or(&self.key, |s| &s.column)
    }

    /// The way that is left after `steps` steps.
    pub fn after(&self, steps: usize) -> Self {
        Self { steps: self.steps.iter().skip(steps).cloned().collect(), key: self.key.clone() }
    }

    /// True when a row can reach several patients.
    pub fn is_many(&self) -> bool {
        self.steps.iter().any(|s| s.many)
    }
}

/// The way of rows in which `column` has one of the values `is`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// The column that tells.
    pub column: String,
    /// Its values, as text.
    pub is: Vec<String>,
    /// The way of those rows.
    pub path: KeyPath,
}

/// How rows of a table belong to patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// One way for all rows.
    One(KeyPath),
    /// The way depends on the value of a column (the same column in every alternative, and the same
    /// first column of every way). A row for which there is no alternative is nobody's.
    When(Vec<Alternative>),
}

impl From<KeyPath> for Path {
    fn from(path: KeyPath) -> Self {
        Path::One(path)
    }
}

/// When a row that belongs to several patients is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Patients {
    /// When at least one of them is.
    #[default]
    Any,
    /// When every one of them is.
    All,
}

/// A relation whose rows belong to patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRule {
    /// The relation (table, partitioned table, or a view that exposes the key).
    pub name: QualifiedName,
    /// Class: `demographics`, `labs`, `notes` ...
    pub class: String,
    /// The way to the patient key.
    pub path: Path,
    /// When a row of several patients is visible; no difference for others.
    pub patients: Patients,
    /// The category of its rows, if they have one.
    pub category: Option<RowCategory>,
    /// Columns that have a category.
    pub column_categories: BTreeMap<String, ColumnCategory>,
}

impl TableRule {
    /// A rule for rows that belong to one patient, or to several of whom any makes it visible.
    pub fn new(name: QualifiedName, class: impl Into<String>, path: impl Into<Path>) -> Self {
        Self {
            name,
            class: class.into(),
            path: path.into(),
            patients: Patients::Any,
            category: None,
            column_categories: BTreeMap::new(),
        }
    }

    /// Every way a row may take.
    pub fn paths(&self) -> impl Iterator<Item = &KeyPath> {
        let (one, when) = match &self.path {
            Path::One(path) => (Some(path), &[][..]),
            Path::When(alternatives) => (None, alternatives.as_slice()),
        };
        one.into_iter().chain(when.iter().map(|a| &a.path))
    }

    /// Every step a row may take.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.paths().flat_map(|p| &p.steps)
    }

    /// The table's own column with the patient key, when it has one for all rows.
    pub fn own_key(&self) -> Option<&str> {
        match &self.path {
            Path::One(path) if path.steps.is_empty() => Some(&path.key),
            Path::One(_) | Path::When(_) => None,
        }
    }

    /// The way, when it is the same for all rows and leads to one patient at most.
    pub fn single(&self) -> Option<&KeyPath> {
        match &self.path {
            Path::One(path) if !path.is_many() => Some(path),
            Path::One(_) | Path::When(_) => None,
        }
    }

    /// The step to the row that tells whose a row is, where one step leads to a table with a patient key of its own.
    pub fn parent(&self) -> Option<&Step> {
        match self.single()?.steps.as_slice() {
            [step] => Some(step),
            _ => None,
        }
    }

    /// True when a row can belong to several patients: its witness is a set.
    pub fn is_many(&self) -> bool {
        self.paths().any(KeyPath::is_many)
    }

    /// The table's own columns that decide whose a row is, each once.
    pub fn owner_columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = match &self.path {
            Path::One(path) => vec![path.first_column()],
            Path::When(alternatives) => {
                alternatives.iter().flat_map(|a| [a.column.as_str(), a.path.first_column()]).collect()
            }
        };
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}
