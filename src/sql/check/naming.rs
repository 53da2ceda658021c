//! Columns that name single patients and rows, for `min_cell`: keys, what is unique, and what refers to such. Who could choose
//! by them together with another column, or group by them, would take one patient, or one row, out of some groups only.
//!
//! Not for what people are known by otherwise: a date of birth names somebody, too.

use super::cells::{Cells, cell, equal_columns};
use super::overlap::{Column, column_at, columns};
use super::types::Block;
use super::{Checker, Outcome};
use crate::catalog::{Oid, RelationKind};
use crate::policy::{BoundTable, HipaaIdentifier, identifier_of};
use crate::sql::tree::Node;

impl Checker<'_> {
    /// Refuses a condition that takes a single patient, or a single row, out of what another column chooses: of the groups
    /// that this cuts, some have the patient and some do not.
    pub(super) fn excepts_nobody(&self, condition: &Node, block: &Block<'_>, cells: &Cells) -> Outcome {
        if equal_columns(condition) {
            return Ok(());
        }
        let mut found = compared(condition, block);
        found.sort();
        found.dedup();
        let named: Vec<Column> = found.iter().flatten().cloned().collect();
        self.takes_nobody_out(&named, found.len() > 1, "a condition", cells)
    }

    /// Refuses what chooses rows by these columns of tables with patients, where one names a row, or a patient beside
    /// another column.
    pub(super) fn takes_nobody_out(
        &self,
        columns: &[Column],
        several: bool,
        what: &str,
        cells: &Cells,
    ) -> Outcome {
        for column in columns {
            if self.names_a_row(column, several, cells)? {
                return cell(format!("{what} on \"{}\", which names a single row", column.1));
            }
            if several && self.names_a_patient(column, cells)? {
                return cell(format!(
                    "{what} combines \"{}\", which names a patient, with another column: it could take one patient out \
                     of some groups",
                    column.1
                ));
            }
        }
        Ok(())
    }

    /// Refuses what reads a column that names a patient or a row at all. NULL or not is no name. What is grouped by alone
    /// is a part of nothing, unless it is `always` one.
    pub(super) fn names_nobody(
        &self,
        node: &Node,
        always: bool,
        what: &str,
        block: &Block<'_>,
        cells: &Cells,
    ) -> Outcome {
        let several = always || node.kind != "ColumnRef";
        for column in compared(node, block).into_iter().flatten() {
            if self.names_a_row(&column, several, cells)? || self.names_a_patient(&column, cells)? {
                return cell(format!("{what} \"{}\", which names a single patient or row", column.1));
            }
        }
        Ok(())
    }

    /// Alias and column of the patient keys that tables with patients have themselves.
    pub(super) fn own_keys(&self, cells: &Cells) -> Outcome<Vec<Column>> {
        let mut keys = Vec::new();
        for (oid, alias) in &cells.keyed {
            let rule = &self.table(*oid)?.rule;
            keys.extend(rule.own_key().map(|key| (alias.clone(), key.to_owned())));
        }
        Ok(keys)
    }

    /// True for a patient's key or number.
    fn names_a_patient(&self, column: &Column, cells: &Cells) -> Outcome<bool> {
        let Some((oid, table)) = self.with_patients(&column.0, cells)? else { return Ok(false) };
        let identifiers = &self.cx.context.bound.policy.identifiers;
        // Views, and tables that refer to patients by their number, have it by the same name.
        let number = identifiers.iter().any(|i| i.column == column.1);
        Ok(number
            || self.is_called_like_a_name(oid, table, &column.1)
            || table.rule.own_key() == Some(column.1.as_str())
            || self.is_of_patients(oid, table, &column.1))
    }

    /// True for a text that is called like what people are known by (Safe Harbor's numbers and addresses; names in a table
    /// that has one row a patient, as drugs have names, too).
    fn is_called_like_a_name(&self, oid: Oid, table: &BoundTable, column: &str) -> bool {
        use HipaaIdentifier::{
            Account, Device, Email, Fax, HealthPlan, IpAddress, Licence, MedicalRecord, Name, Other, Phone,
            SocialSecurity, Url, Vehicle,
        };
        let context = self.cx.context;
        let Some(found) = context.catalog.relation(oid).and_then(|r| r.column(column)) else { return false };
        let text =
            ["text", "character", "citext", "uuid", "inet"].iter().any(|t| found.type_sql.starts_with(t));
        let elsewhere = context.catalog.keys.references.get(&oid).is_some_and(|all| all.contains_key(column));
        let of_people = || table.rule.own_key().is_some_and(|key| self.is_unique(oid, key));
        text && !elsewhere
            && match identifier_of(column, &found.type_sql) {
                Some(
                    Account | Device | Email | Fax | HealthPlan | IpAddress | Licence | MedicalRecord | Phone
                    | SocialSecurity | Url | Vehicle,
                ) => true,
                Some(Name | Other) => of_people(),
                _ => false,
            }
    }

    /// True for what is unique in a table that has one row a patient.
    fn is_of_patients(&self, oid: Oid, table: &BoundTable, column: &str) -> bool {
        let unique = |column: &str| {
            self.cx.context.catalog.keys.unique.get(&oid).is_some_and(|all| all.contains(column))
        };
        unique(column) && table.rule.own_key().is_some_and(unique)
    }

    /// True for a column of a table with patients that names a row, of this table or of another one, and not merely a
    /// patient. With other columns (`several`), each of a primary key of several columns does so.
    fn names_a_row(&self, column: &Column, several: bool, cells: &Cells) -> Outcome<bool> {
        let Some((oid, table)) = self.with_patients(&column.0, cells)? else { return Ok(false) };
        let name = column.1.as_str();
        if table.rule.own_key() == Some(name) || self.is_of_patients(oid, table, name) {
            return Ok(false);
        }
        Ok(self.is_row_key(oid, name)
            || self.is_unique(oid, name)
            || self.is_called_like_a_row(oid, name)
            || (several && self.is_part_of_a_key(oid, table, name)))
    }

    fn with_patients(&self, alias: &str, cells: &Cells) -> Outcome<Option<(Oid, &BoundTable)>> {
        match cells.keyed.iter().find(|(_, a)| a == alias) {
            Some((oid, _)) => Ok(Some((*oid, self.table(*oid)?))),
            None => Ok(None),
        }
    }

    /// The primary key of a table, where no rows of others, which inherit from it, stand among its own.
    pub(super) fn primary_key(&self, oid: Oid) -> Option<&Vec<String>> {
        let catalog = self.cx.context.catalog;
        let partitioned = catalog.relation(oid)?.kind == RelationKind::PartitionedTable;
        let inherited = || catalog.relations.values().any(|r| r.parents.contains(&oid));
        catalog.keys.primary.get(&oid).filter(|_| partitioned || !inherited())
    }

    /// The primary key of one column, or a foreign key to a table with patients.
    fn is_row_key(&self, oid: Oid, column: &str) -> bool {
        let catalog = self.cx.context.catalog;
        let to = catalog.keys.references.get(&oid).and_then(|all| all.get(column));
        catalog.keys.primary.get(&oid).is_some_and(|key| matches!(key.as_slice(), [one] if one == column))
            || to.is_some_and(|to| self.cx.context.bound.tables.contains_key(to))
    }

    fn is_unique(&self, oid: Oid, column: &str) -> bool {
        self.cx.context.catalog.keys.unique.get(&oid).is_some_and(|all| all.contains(column))
    }

    /// True for a column that no foreign key takes elsewhere, but that is called like the primary key of a table with
    /// patients: views, and columns without a foreign key, show whose row they mean by their names alone.
    fn is_called_like_a_row(&self, oid: Oid, column: &str) -> bool {
        let context = self.cx.context;
        let elsewhere = context.catalog.keys.references.get(&oid).is_some_and(|all| all.contains_key(column));
        let is_key = |(table, rule): (&Oid, &BoundTable)| {
            let key = context.catalog.keys.primary.get(table).map(Vec::as_slice);
            rule.rule.own_key() != Some(column) && matches!(key, Some([one]) if one == column)
        };
        !elsewhere && context.bound.tables.iter().any(is_key)
    }

    /// True for a column of a unique key of several, or of expressions, of which none names a patient or a row by itself.
    fn is_part_of_a_key(&self, oid: Oid, table: &BoundTable, column: &str) -> bool {
        let names = |c: &String| {
            table.rule.own_key() == Some(c.as_str()) || self.is_row_key(oid, c) || self.is_unique(oid, c)
        };
        let sets = self.cx.context.catalog.keys.sets.get(&oid).into_iter().flatten();
        sets.into_iter().any(|set| set.iter().any(|c| c == column) && !set.iter().any(names))
    }

    /// The columns that name single rows of tables with patients, or also those that name patients.
    pub(super) fn row_names(&self, cells: &Cells, patients: bool) -> Outcome<Vec<Column>> {
        let mut names = Vec::new();
        for (oid, alias) in &cells.keyed {
            let relation = self.cx.context.catalog.relation(*oid);
            for column in relation.into_iter().flat_map(|r| &r.columns) {
                let column = (alias.clone(), column.name.clone());
                if self.names_a_row(&column, true, cells)?
                    || (patients && self.names_a_patient(&column, cells)?)
                {
                    names.push(column);
                }
            }
        }
        Ok(names)
    }

    /// Refuses to count the values of a column: one that few have would show in the number. Of patients and rows each
    /// has its own.
    pub(super) fn counts_no_values(&self, counted: &[&Node], block: &Block<'_>, cells: &Cells) -> Outcome {
        let keys = self.own_keys(cells)?;
        for reference in counted {
            let column = column_at(reference, block);
            let row = |column: &Column| {
                cells.keyed.iter().any(|(oid, alias)| *alias == column.0 && self.is_row_key(*oid, &column.1))
            };
            if !column.is_some_and(|column| keys.contains(&column) || row(&column)) {
                return cell(
                    "count(DISTINCT ...) of a column that can be alike in several rows: a value that few patients have \
                     would show; count(DISTINCT patient's key) works",
                );
            }
        }
        Ok(())
    }
}

/// The columns in `node`, but for those that are only asked for NULL.
fn compared(node: &Node, block: &Block<'_>) -> Vec<Option<Column>> {
    match node.kind {
        "NullTest" if node.node("arg").is_some_and(|arg| arg.kind == "ColumnRef") => Vec::new(),
        "ColumnRef" => columns(node, block),
        _ => node.children().into_iter().flat_map(|child| compared(child, block)).collect(),
    }
}
