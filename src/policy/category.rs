//! Sensitive data beyond the assignment, as the configuration says it: categories of rows and columns
//! (HL7 ActCode ETH, PSY, HIV, SDV ...), labels of patients (CEL, EMP ...), and which of them a role sees.
//! Not here: what that makes of a role's access to a table (`closed`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Mask, Policy, Role, TableRule};
use crate::catalog::QualifiedName;

/// Which categories, or which labels, a role sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// All, those of values that the configuration does not know included.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Default for Seen {
    fn default() -> Self {
        Seen::Only(BTreeSet::new())
    }
}

impl Seen {
    /// True for a name that is seen.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Seen::All => true,
            Seen::Only(names) => names.contains(name),
        }
    }

    /// True when nothing is closed, whatever value is met.
    pub fn is_all(&self) -> bool {
        *self == Seen::All
    }
}

/// What the values of a column stand for. A value that is neither here is sensitive: it is seen by those
/// who see everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// Value, as text, to the category or label that it stands for.
    pub names: BTreeMap<String, String>,
    /// Values that stand for none.
    pub none: BTreeSet<String>,
}

impl Values {
    /// The values that are open to who sees `seen`, sorted.
    pub(super) fn open_to(&self, seen: &Seen) -> Vec<String> {
        let named = self.names.iter().filter(|(_, name)| seen.has(name)).map(|(value, _)| value.clone());
        let open: BTreeSet<String> = named.chain(self.none.iter().cloned()).collect();
        open.into_iter().collect()
    }

    /// The values of each name that is closed to who sees `seen`.
    pub(super) fn closed_to(&self, seen: &Seen) -> BTreeMap<String, Vec<String>> {
        let mut closed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (value, name) in self.names.iter().filter(|(_, name)| !seen.has(name)) {
            closed.entry(name.clone()).or_default().push(value.clone());
        }
        closed
    }
}

/// The category of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowCategory {
    /// Every row is of this one.
    Whole(String),
    /// A column tells.
    ByValue {
        /// The column.
        column: String,
        /// What its values stand for.
        values: Values,
        /// NULL stands for no category; else it is as sensitive as an unknown value.
        null_is_none: bool,
    },
}

/// The category of a column: who does not see it is shown a mask in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnCategory {
    /// The category.
    pub category: String,
    /// What is shown instead.
    pub mask: Mask,
}

/// A relation that says which labels a patient has: the patients' own table, or one with a row for each
/// patient and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The relation.
    pub relation: QualifiedName,
    /// Its column with the patient key.
    pub patient: String,
    /// Its column with the label; NULL is none.
    pub column: String,
    /// What the values of that column stand for.
    pub values: Values,
}

impl Policy {
    /// Every category there is.
    pub fn categories(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for table in &self.tables {
            match &table.category {
                Some(RowCategory::Whole(name)) => _ = names.insert(name.as_str()),
                Some(RowCategory::ByValue { values, .. }) => {
                    names.extend(values.names.values().map(String::as_str));
                }
                None => {}
            }
            names.extend(table.column_categories.values().map(|c| c.category.as_str()));
        }
        names
    }

    /// Every label there is.
    pub fn label_names(&self) -> BTreeSet<&str> {
        self.labels.iter().flat_map(|l| l.values.names.values()).map(String::as_str).collect()
    }

    /// True when some category or label is closed to who sees these: what [`Role::limited`] has to be.
    pub fn limits(&self, categories: &Seen, labels: &Seen) -> bool {
        limits(&self.tables, &self.labels, categories, labels)
    }
}

/// True when some category of these tables, or one of these labels, is closed to who sees `categories` and
/// `seen`.
pub fn limits(tables: &[TableRule], labels: &[Labels], categories: &Seen, seen: &Seen) -> bool {
    let by_table = tables.iter().any(|table| {
        let rows = match &table.category {
            Some(RowCategory::Whole(name)) => !categories.has(name),
            Some(RowCategory::ByValue { .. }) => !categories.is_all(),
            None => false,
        };
        rows || table.column_categories.values().any(|c| !categories.has(&c.category))
    });
    by_table || !(labels.is_empty() || seen.is_all())
}

impl Role {
    /// The same role with every category and label: what it would see without them.
    pub fn seeing_all(&self) -> Role {
        Role { categories: Seen::All, labels: Seen::All, limited: false, ..self.clone() }
    }
}
