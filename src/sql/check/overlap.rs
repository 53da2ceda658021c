//! Whether groups of patients overlap, for `min_cell`: where a patient's rows stand in several groups that are cut by
//! something else than the patients' own rows, two large groups can differ by one patient, and their difference tells
//! that one. So every row has to be of one patient, what is joined to it must not multiply it into groups, and no
//! condition may take a patient out of some of the groups only.
//!
//! Not for what one knows of the groups beforehand.

use pg_query::protobuf::AExprKind;

use super::cells::{Cells, cell, equal_columns, is_column};
use super::cohorts::chooser;
use super::types::Block;
use super::{Checker, Outcome};
use crate::policy::KeyPath;
use crate::sql::tree::Node;

/// A column: the alias of its table, and its name.
pub(super) type Column = (String, String);

/// The column that a reference means: of the alias that stands before it, or of the first table that has one (those of
/// USING are equal). `None` where no table is known to have it.
pub(super) fn column_at(reference: &Node, block: &Block<'_>) -> Option<Column> {
    match reference.names("fields").as_slice() {
        [alias, column] => Some(((*alias).to_owned(), (*column).to_owned())),
        [column] => {
            let has = |columns: &[(String, super::types::Ty)]| columns.iter().any(|(name, _)| name == column);
            let item = block.items.iter().find(|i| i.columns.as_deref().is_some_and(has))?;
            Some((item.alias.clone(), (*column).to_owned()))
        }
        _ => None,
    }
}

/// Every reference to a column in `node`.
pub(super) fn columns_in<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    if node.kind == "ColumnRef" {
        out.push(node);
    }
    node.children().into_iter().for_each(|child| columns_in(child, out));
}

pub(super) fn columns(node: &Node, block: &Block<'_>) -> Vec<Option<Column>> {
    let mut references = Vec::new();
    columns_in(node, &mut references);
    references.into_iter().map(|r| column_at(r, block)).collect()
}

/// What is equal in every row: the columns of USING, and those of `a.x = b.y`.
fn equal_pairs(cells: &Cells, conditions: &[&Node], block: &Block<'_>) -> Vec<(Column, Column)> {
    let stated = conditions
        .iter()
        .filter(|c| equal_columns(c))
        .filter_map(|c| Some((column_at(c.node("lexpr")?, block)?, column_at(c.node("rexpr")?, block)?)));
    cells.using.iter().cloned().chain(stated).collect()
}

impl Checker<'_> {
    /// The aliases of protected tables in sets whose rows are of one patient in every row of the block: tied by the
    /// patients' keys, or by the column by which one table's way leads over the other.
    pub(super) fn tied(
        &self,
        cells: &Cells,
        conditions: &[&Node],
        block: &Block<'_>,
    ) -> Outcome<Vec<Vec<String>>> {
        let mut sets: Vec<Vec<String>> = cells.keyed.iter().map(|(_, alias)| vec![alias.clone()]).collect();
        for (left, right) in equal_pairs(cells, conditions, block) {
            if !self.of_one_patient(cells, &left, &right)? {
                continue;
            }
            let at = |column: &Column| sets.iter().position(|set| set.contains(&column.0));
            if let (Some(l), Some(r)) = (at(&left), at(&right))
                && l != r
            {
                let (keep, gone) = (l.min(r), l.max(r));
                let moved = sets.swap_remove(gone);
                if let Some(set) = sets.get_mut(keep) {
                    set.extend(moved);
                }
            }
        }
        Ok(sets)
    }

    fn of_one_patient(&self, cells: &Cells, left: &Column, right: &Column) -> Outcome<bool> {
        let rule = |column: &Column| match cells.keyed.iter().find(|(_, alias)| *alias == column.0) {
            Some((oid, _)) => self.table(*oid).map(|table| Some(&table.rule)),
            None => Ok(None),
        };
        let (Some(l), Some(r)) = (rule(left)?, rule(right)?) else { return Ok(false) };
        let (Some(a), Some(b)) = (l.single(), r.single()) else { return Ok(false) };
        let rest =
            |path: &KeyPath| (path.steps.iter().skip(1).cloned().collect::<Vec<_>>(), path.key.clone());
        let leads = |path: &KeyPath, column: &Column| {
            path.steps.first().filter(|step| step.column == column.1).cloned()
        };
        let over = |from: &KeyPath,
                    at: &Column,
                    to: &KeyPath,
                    name: &crate::catalog::QualifiedName,
                    here: &Column| {
            leads(from, at).is_some_and(|step| step.table == *name && step.references == here.1)
                && rest(from) == (to.steps.clone(), to.key.clone())
        };
        let keys = l.own_key() == Some(left.1.as_str()) && r.own_key() == Some(right.1.as_str());
        let both = match (leads(a, left), leads(b, right)) {
            (Some(one), Some(other)) => one == other && rest(a) == rest(b),
            _ => false,
        };
        Ok(keys || both || over(a, left, b, &r.name, right) || over(b, right, a, &l.name, left))
    }

    /// Refuses a block whose groups could overlap.
    pub(super) fn groups_apart(
        &self,
        select: &Node,
        block: &Block<'_>,
        cells: &Cells,
        conditions: &[&Node],
        sets: &[Vec<String>],
        aggregates: &super::cells::Aggregates<'_>,
    ) -> Outcome {
        if cells.tables <= 1 {
            return Ok(());
        }
        if sets.len() > 1 {
            return cell(
                "it joins rows of one patient to those of another: join tables with patients by the patient's key",
            );
        }
        let keys = grouping_keys(select);
        for key in &keys {
            let columns = columns(key, block);
            let aliases: Vec<Option<&str>> =
                columns.iter().map(|c| c.as_ref().map(|(alias, _)| alias.as_str())).collect();
            if aliases.len() > 1
                && (aliases.contains(&None) || aliases.windows(2).any(|w| w.first() != w.last()))
            {
                return cell("a grouping key mixes columns of two tables: groups could overlap");
            }
        }
        let grouped: Vec<Option<Column>> = keys.iter().flat_map(|key| columns(key, block)).collect();
        for condition in conditions.iter().filter(|c| chooser(c).is_none()) {
            let columns = columns(condition, block);
            let first = columns.first().map(|c| c.as_ref().map(|(alias, _)| alias));
            let one = columns.iter().all(|c| Some(c.as_ref().map(|(alias, _)| alias)) == first);
            let alone = one && columns.iter().all(Option::is_some);
            let compared =
                compares_offsets(condition) && columns.iter().all(|c| c.is_some() && !grouped.contains(c));
            if !(equal_columns(condition) || columns.len() <= 1 || alone || compared) {
                return cell(
                    "a condition compares columns of two tables by other than =, or one of them is grouped by: groups \
                     could overlap, and a small one be subtracted",
                );
            }
        }
        self.lists_nobody(block, cells, conditions)?;
        let loose = self.loose(block, cells, conditions);
        if loose.is_empty() {
            return Ok(());
        }
        let mut shown = Vec::new();
        for field in ["target_list", "group_clause", "sort_clause", "window_clause", "distinct_clause"] {
            select.nodes(field).for_each(|node| columns_in(node, &mut shown));
        }
        select.node("having_clause").into_iter().for_each(|node| columns_in(node, &mut shown));
        // A name of the select list is no column.
        let names: Vec<&str> = select.nodes("target_list").map(|t| t.str("name")).collect();
        let fixed = |reference: &&Node| match column_at(reference, block) {
            Some((alias, _)) => !loose.contains(&alias),
            None => matches!(reference.names("fields").as_slice(), [name] if names.contains(name)),
        };
        if !shown.iter().all(fixed) || aggregates.multiplied {
            return cell(format!(
                "\"{}\" can have several rows for one of a patient (its primary key is not compared by =): nothing of it \
                 may be shown or grouped by, and patients be counted by count(DISTINCT key) only",
                loose.first().map_or("", String::as_str)
            ));
        }
        Ok(())
    }

    /// Tables without patients of which a row of a patient can meet several.
    fn loose(&self, block: &Block<'_>, cells: &Cells, conditions: &[&Node]) -> Vec<String> {
        let pairs = equal_pairs(cells, conditions, block);
        let constant = |condition: &Node| {
            let (l, r) = (condition.node("lexpr")?, condition.node("rexpr")?);
            let is_constant = |n: &Node| {
                matches!(n.kind, "AConst" | "ParamRef")
                    || (n.kind == "TypeCast"
                        && n.node("arg").is_some_and(|a| matches!(a.kind, "AConst" | "ParamRef")))
            };
            let equal = condition.kind == "AExpr"
                && condition.names("name") == ["="]
                && condition.int("kind") == i64::from(AExprKind::AexprOp as i32);
            match (is_column(l), is_column(r)) {
                (true, false) if equal && is_constant(r) => column_at(l, block),
                (false, true) if equal && is_constant(l) => column_at(r, block),
                _ => None,
            }
        };
        let constants: Vec<Column> = conditions.iter().filter_map(|c| constant(c)).collect();
        let mut one: Vec<&str> = cells.keyed.iter().map(|(_, alias)| alias.as_str()).collect();
        let mut rest: Vec<_> = cells.plain.iter().collect();
        loop {
            let before = rest.len();
            rest.retain(|(oid, alias)| {
                let key = oid.and_then(|oid| self.primary_key(oid));
                let fixed = |name: &String| {
                    let is = |column: &Column| column.0 == *alias && column.1 == *name;
                    let by = |column: &Column| one.contains(&column.0.as_str());
                    constants.iter().any(is)
                        || pairs.iter().any(|(l, r)| (is(l) && by(r)) || (is(r) && by(l)))
                };
                let determined = key.is_some_and(|key| key.iter().all(fixed));
                if determined {
                    one.push(alias);
                }
                !determined
            });
            if rest.len() == before {
                return rest.into_iter().map(|(_, alias)| alias.clone()).collect();
            }
        }
    }

    /// A table without patients that is compared with a patient's key and another column is a list of who is left out
    /// where, whatever tables stand between.
    fn lists_nobody(&self, block: &Block<'_>, cells: &Cells, conditions: &[&Node]) -> Outcome {
        let is_plain = |column: &Column| cells.plain.iter().any(|(_, alias)| *alias == column.0);
        let mut sets: Vec<Vec<Column>> =
            cells.using.iter().map(|(l, r)| vec![l.clone(), r.clone()]).collect();
        let stated = conditions.iter().filter(|c| chooser(c).is_none());
        sets.extend(stated.map(|c| columns(c, block).into_iter().flatten().collect()));
        sets.retain(|set| set.iter().any(is_plain));
        // What is compared with one table, and with another that is compared with that one, chooses together.
        let mut lists: Vec<Vec<Column>> = Vec::new();
        for mut set in sets {
            let shares = |list: &Vec<Column>| {
                list.iter().filter(|c| is_plain(c)).any(|c| set.iter().any(|s| s.0 == c.0))
            };
            let (met, rest): (Vec<_>, Vec<_>) = lists.into_iter().partition(shares);
            set.extend(met.into_iter().flatten());
            lists = rest;
            lists.push(set);
        }
        for list in lists {
            let mut with_patients: Vec<Column> = list.into_iter().filter(|c| !is_plain(c)).collect();
            with_patients.sort();
            with_patients.dedup();
            let several = with_patients.len() > 1;
            self.takes_nobody_out(&with_patients, several, "a join with a table without patients", cells)?;
        }
        Ok(())
    }
}

/// The expressions that are grouped by, those of the select list for ordinals and names of it, too.
pub(super) fn grouping_keys(select: &Node) -> Vec<&Node> {
    let targets: Vec<&Node> = select.nodes("target_list").collect();
    let mut keys = Vec::new();
    for key in select.nodes("group_clause") {
        let ordinal = key.node("val").filter(|_| key.kind == "AConst").map(|v| v.int("ival"));
        let target =
            ordinal.and_then(|i| usize::try_from(i).ok()?.checked_sub(1)).and_then(|i| targets.get(i));
        let named = |t: &&&Node| {
            key.kind == "ColumnRef"
                && matches!(key.names("fields").as_slice(), [name] if t.str("name") == *name)
        };
        keys.extend(target.into_iter().chain(targets.iter().filter(named)).filter_map(|t| t.node("val")));
        if key.kind != "AConst" {
            keys.push(key);
        }
    }
    keys
}

/// `a.x <= b.y`, also with something added to a side, and BETWEEN.
fn compares_offsets(condition: &Node) -> bool {
    fn offset(node: &Node) -> bool {
        match node.kind {
            "ColumnRef" | "AConst" | "ParamRef" => true,
            "TypeCast" => node.node("arg").is_some_and(|a| matches!(a.kind, "AConst" | "ParamRef")),
            "List" => node.children().into_iter().all(offset),
            "AExpr" => {
                matches!(node.names("name").as_slice(), ["+" | "-"])
                    && ["lexpr", "rexpr"].iter().all(|side| node.node(side).is_some_and(offset))
            }
            _ => false,
        }
    }
    let kind = |kind: AExprKind| condition.int("kind") == i64::from(kind as i32);
    let compares = kind(AExprKind::AexprOp)
        && matches!(condition.names("name").as_slice(), ["=" | "<>" | "<" | "<=" | ">" | ">="]);
    condition.kind == "AExpr"
        && (compares || kind(AExprKind::AexprBetween))
        && ["lexpr", "rexpr"].iter().all(|side| condition.node(side).is_some_and(offset))
}
