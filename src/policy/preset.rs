//! Masks that a role has without naming them: a preset looks at every column of a protected table, by
//! name and type, when the policy is bound to a catalog. What the role says itself wins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{HipaaIdentifier, Mask, Role, TableRule, identifier_of, mask_for, masked_type};
use crate::catalog::{QualifiedName, Relation};

/// A preset of masks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MaskPreset {
    /// The Safe Harbor method (45 CFR 164.514(b)(2)), as far as names and types of columns tell.
    SafeHarbor {
        /// Three-digit ZIP areas that are shown as `000`.
        zip3_small: Arc<BTreeSet<String>>,
    },
}

impl MaskPreset {
    /// The word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            MaskPreset::SafeHarbor { .. } => "safe_harbor",
        }
    }
}

/// What a role's masking consists of besides the masks that it names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masking {
    /// Masks by a preset, for columns that the role does not name.
    pub preset: Option<MaskPreset>,
    /// Columns that the preset leaves as they are (`column = "none"`).
    pub clear: BTreeMap<QualifiedName, BTreeSet<String>>,
    /// What rows of patients outside the assignment show with `outside = "mask"`, by table.
    pub outside: BTreeMap<QualifiedName, OutsideMasks>,
    /// Least number of patients behind every row of an answer.
    pub min_cell: Option<u32>,
}

/// The columns of a table that rows of patients outside the assignment show: as a mask, or as they are
/// (`None`). Every other column is NULL there, but for the one by which a row belongs to its patient.
pub type OutsideMasks = BTreeMap<String, Option<Mask>>;

/// The masks of a role on one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMasks<'a> {
    /// Of every row.
    pub own: Vec<(&'a str, &'a Mask)>,
    /// Of rows of patients outside, when those are shown.
    pub outside: Option<&'a OutsideMasks>,
    /// The column by which a row belongs to its patient; masked by `own` alone.
    pub owners: Vec<&'a str>,
}

impl<'a> TableMasks<'a> {
    /// True when every row is shown as it is.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.outside.is_none()
    }

    /// The masks of rows of patients inside.
    pub fn inside(&self) -> Self {
        Self { outside: None, ..self.clone() }
    }

    /// The mask of every row's `column`.
    pub fn own(&self, column: &str) -> Option<&'a Mask> {
        self.own.iter().find(|(name, _)| *name == column).map(|(_, mask)| *mask)
    }

    /// True when `column` is shown as it is in every row.
    pub fn clear(&self, column: &str) -> bool {
        self.own(column).is_none() && (self.outside.is_none() || self.same_outside(column))
    }

    /// True when rows of patients outside show `column` as the others do.
    pub fn same_outside(&self, column: &str) -> bool {
        self.outside.is_none_or(|outside| match outside.get(column) {
            Some(shown) => shown.is_none(),
            None => self.owners.contains(&column),
        })
    }

    /// True when the masked form joins another table: its rows cannot be locked then (`FOR UPDATE cannot
    /// be applied to the nullable side of an outer join`).
    pub fn joins(&self) -> bool {
        self.outside.is_some() || self.own.iter().any(|(_, mask)| matches!(mask, Mask::Surrogate { .. }))
    }
}

impl Masking {
    /// True when patients inside are shown as they are.
    pub fn is_empty(&self) -> bool {
        let Masking { preset, clear: _, outside: _, min_cell } = self;
        preset.is_none() && min_cell.is_none()
    }
}

/// What a preset says of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal<'r> {
    /// The column.
    pub column: &'r str,
    /// What it holds.
    pub identifier: HipaaIdentifier,
    /// The mask.
    pub mask: Mask,
}

/// The columns of `relation` that the role's preset recognises, with the mask for each; those that the
/// role names included. The column by which the table's rows belong to their patient is not among
/// them: rows could not be joined, and their patients only be told by a second scan.
pub fn proposals<'r>(role: &Role, rule: &TableRule, relation: &'r Relation) -> Vec<Proposal<'r>> {
    let Some(MaskPreset::SafeHarbor { zip3_small }) = &role.masking.preset else { return Vec::new() };
    let owners = rule.owner_columns();
    let columns = relation.columns.iter().filter(move |c| !owners.contains(&c.name.as_str()));
    columns
        .filter_map(|c| {
            let t = masked_type(c);
            let identifier = identifier_of(&c.name, t)?;
            let mask = match mask_for(identifier, t) {
                Mask::Zip3 { .. } => Mask::Zip3 { small: Arc::clone(zip3_small) },
                other => other,
            };
            Some(Proposal { column: &c.name, identifier, mask })
        })
        .collect()
}

/// Every mask of `role` on `relation`, by column: those of the preset, and those that the role names.
pub(super) fn masks_on(role: &Role, rule: &TableRule, relation: &Relation) -> BTreeMap<String, Mask> {
    let none = BTreeMap::new();
    let named = role.masks.get(&rule.name).unwrap_or(&none);
    let clear = role.masking.clear.get(&rule.name);
    let mut out: BTreeMap<String, Mask> = proposals(role, rule, relation)
        .into_iter()
        .filter(|p| !clear.is_some_and(|c| c.contains(p.column)))
        .map(|p| (p.column.to_owned(), p.mask))
        .collect();
    out.extend(named.iter().map(|(column, mask)| (column.clone(), mask.clone())));
    out
}
