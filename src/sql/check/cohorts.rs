//! Cohorts under `min_cell`: EXISTS and IN among the conditions of a block that groups patients. By other rows of the same
//! patient they choose as a condition on these would; by rows of somebody else they would tell what that one has. Of the
//! rows around them they may look at the patient alone, or, where no patients are in them, at one column alone: what
//! looks at two can take one patient out of some of the groups.
//!
//! Not for subqueries anywhere else: those are refused (see `cells`).

use pg_query::protobuf::{BoolExprType, SubLinkType};

use super::cells::{Cells, cell, equal_columns, is_column, joins_plainly};
use super::overlap::{Column, column_at, columns_in};
use super::types::Block;
use super::{Checker, Outcome};
use crate::sql::tree::Node;

/// A query of EXISTS or IN, as the block around it sees it.
#[derive(Debug)]
pub(super) struct Chooser {
    link: Link,
    /// The columns around it that are the key of a row's patient.
    keys: Vec<Column>,
    /// Those that name single rows of patients.
    rows: Vec<Column>,
}

#[derive(Debug)]
enum Link {
    Exists,
    In {
        /// What is looked for; `None` where it is not known whose column it is.
        column: Option<Column>,
        /// The type of that, where it is a patient's key.
        key: Option<String>,
        /// The comparison cannot fail.
        safe: bool,
    },
}

/// EXISTS, or IN of a column, in a condition, and its query; not one of several queries, whose parts stand by themselves.
pub(super) fn chooser(condition: &Node) -> Option<(&Node, &Node)> {
    let not =
        condition.kind == "BoolExpr" && condition.int("boolop") == i64::from(BoolExprType::NotExpr as i32);
    let link = if not { condition.nodes("args").next()? } else { condition };
    if link.kind != "SubLink" {
        return None;
    }
    let exists = link.int("sub_link_type") == i64::from(SubLinkType::ExistsSublink as i32);
    let any = link.int("sub_link_type") == i64::from(SubLinkType::AnySublink as i32);
    let of_column = any && link.names("oper_name").is_empty() && link.node("testexpr").is_some_and(is_column);
    let select = link.node("subselect")?;
    let simple = !["larg", "values_lists", "with_clause"].iter().any(|field| select.has(field));
    ((exists || of_column) && simple).then_some((link, select))
}

impl Checker<'_> {
    /// Notes the query of a condition that is EXISTS or IN, or the negation of one. Among those of a cohort (`inside`),
    /// others stand beside it.
    pub(super) fn chooses(
        &mut self,
        condition: &Node,
        block: &Block<'_>,
        cells: &Cells,
        inside: bool,
    ) -> Outcome<bool> {
        let Some((link, select)) = chooser(condition) else { return Ok(false) };
        let keys = self.own_keys(cells)?;
        let link = match link.node("testexpr") {
            None => Link::Exists,
            Some(test) => Link::In {
                column: column_at(test, block),
                key: self.key_type(test, block, cells, &keys),
                safe: self.safe(condition, block).is_some(),
            },
        };
        let rows = self.row_names(cells, inside)?;
        self.choosers.insert(std::ptr::from_ref(select), Chooser { link, keys, rows });
        Ok(true)
    }

    /// The type of the patient key of one of the tables of a block, if `column` is one.
    fn key_type(&self, column: &Node, block: &Block<'_>, cells: &Cells, keys: &[Column]) -> Option<String> {
        let (alias, key) = column_at(column, block).filter(|column| keys.contains(column))?;
        let (oid, _) = cells.keyed.iter().find(|(_, a)| *a == alias)?;
        Some(self.cx.context.catalog.relation(*oid)?.column(&key)?.type_sql.clone())
    }

    /// Checks the query of EXISTS or IN.
    pub(super) fn cell_choice(
        &mut self,
        select: &Node,
        block: &Block<'_>,
        cells: &Cells,
        conditions: &[&Node],
        chosen: &Chooser,
    ) -> Outcome {
        for condition in conditions {
            if chooser(condition).is_none() && !self.is_ordinary(condition, block) {
                return cell("a condition of a subquery could fail on the row of a single patient");
            }
        }
        if cells.protected() == 0 {
            return chooses_by_a_column(select, block, chosen);
        }
        self.tied_to_patient(select, block, cells, conditions, chosen)?;
        self.looks_at_own_rows(block, cells, conditions, chosen)
    }

    /// Its rows are of the patient whose row is chosen.
    fn tied_to_patient(
        &self,
        select: &Node,
        block: &Block<'_>,
        cells: &Cells,
        conditions: &[&Node],
        chosen: &Chooser,
    ) -> Outcome {
        let simple = ["target_list", "from_clause", "where_clause", "op", "limit_option", "group_distinct"];
        if cells.other || cells.outer || !select.fields.iter().all(|(field, _)| simple.contains(field)) {
            return cell(
                "the subquery of EXISTS or IN does more than choose rows of tables: it may have FROM with JOIN, and WHERE",
            );
        }
        let keys = self.own_keys(cells)?;
        if keys.len() != cells.keyed.len() {
            return cell("the subquery of EXISTS or IN reads a table without the patient's key");
        }
        let ties = |c: &&Node| {
            let (Some(l), Some(r)) = (c.node("lexpr"), c.node("rexpr")) else { return false };
            let own = |node: &Node| column_at(node, block).is_some_and(|column| keys.contains(&column));
            let of_row = |node: &Node| {
                let column = around(node, block).filter(|(depth, _)| *depth == 1);
                !own(node) && column.is_some_and(|(_, column)| chosen.keys.contains(&column))
            };
            equal_columns(c) && ((own(l) && of_row(r)) || (own(r) && of_row(l)))
        };
        let tied = match &chosen.link {
            Link::Exists => conditions.iter().any(ties),
            Link::In { key: outer, safe, .. } => {
                let mut targets = select.nodes("target_list").map(|target| target.node("val"));
                let target = targets.next().flatten().filter(|v| is_column(v) && targets.next().is_none());
                let inner = target.and_then(|v| self.key_type(v, block, cells, &keys));
                // Numbers, and what has no other `=` than its own.
                let plain = |ty: &Option<String>| {
                    ty.as_deref().is_some_and(|ty| matches!(ty, "smallint" | "integer" | "bigint" | "uuid"))
                };
                let compares =
                    plain(outer) && plain(&inner) && !self.cx.context.catalog.own_code.redefines("=");
                if !safe && !compares {
                    return cell("the comparison of a subquery could fail on the row of a single patient");
                }
                outer.is_some() && inner.is_some()
            }
        };
        if cells.keyless || !tied || self.tied(cells, conditions, block)?.len() != 1 {
            return cell(
                "the subquery of EXISTS or IN is not tied to the patient of the row: by patient key IN (SELECT patient \
                 key ...), or EXISTS (... WHERE x.key = outer.key), and by that key alone among its tables",
            );
        }
        Ok(())
    }

    /// A table without patients that is joined by what names somebody is a list of whom the cohort leaves out.
    fn joins_no_names(&self, block: &Block<'_>, cells: &Cells, conditions: &[&Node]) -> Outcome {
        let stated = conditions.iter().filter(|c| equal_columns(c));
        let stated = stated.map(|c| super::overlap::columns(c, block).into_iter().flatten().collect());
        let merged = cells.using.iter().map(|(l, r)| vec![l.clone(), r.clone()]);
        let is_plain = |c: &Column| cells.plain.iter().any(|(_, alias)| *alias == c.0);
        let mut pairs = merged.chain(stated).filter(|pair: &Vec<Column>| pair.iter().any(is_plain));
        pairs.try_for_each(|pair| {
            self.takes_nobody_out(&pair, true, "a join with a table without patients", cells)
        })
    }

    /// Of the row around it nothing is looked at but its patient. Notes the queries in its conditions.
    fn looks_at_own_rows(
        &mut self,
        block: &Block<'_>,
        cells: &Cells,
        conditions: &[&Node],
        chosen: &Chooser,
    ) -> Outcome {
        self.joins_no_names(block, cells, conditions)?;
        for condition in conditions {
            let inside = match chooser(condition) {
                // What it compares itself is judged here, the rest with its query.
                Some((link, _)) => link.node("testexpr").is_none_or(|test| is_own(test, block)),
                None => outside(condition, block).is_empty() && joins_plainly(condition, block),
            };
            let tie = equal_columns(condition)
                && ["lexpr", "rexpr"].iter().filter_map(|side| condition.node(side)).all(|column| {
                    is_own(column, block)
                        || around(column, block)
                            .is_some_and(|(depth, c)| depth == 1 && chosen.keys.contains(&c))
                });
            if chooser(condition).is_none() && !equal_columns(condition) {
                self.names_nobody(condition, false, "a condition of a cohort reads", block, cells)?;
            }
            if !inside && !tie {
                return cell(
                    "the subquery of EXISTS or IN compares columns of two tables by other than =, or another column of the \
                     rows around it than the patient's key",
                );
            }
            self.chooses(condition, block, cells, true)?;
        }
        Ok(())
    }
}

/// A query without patients in it: what it says of one column of the row around it is a condition on that one.
fn chooses_by_a_column(select: &Node, block: &Block<'_>, chosen: &Chooser) -> Outcome {
    let mut compared: Vec<(usize, Column)> = reaches_out(select, block);
    if let Link::In { column, safe, .. } = &chosen.link {
        if !safe {
            return cell("the comparison of a subquery could fail on the row of a single patient");
        }
        let own =
            |column: &&Column| block.parent.is_some_and(|p| p.items.iter().any(|i| i.alias == column.0));
        match column.as_ref().filter(own) {
            Some(column) => compared.push((1, column.clone())),
            None => {
                return cell(
                    "a subquery without patients compares a column of which it is not known whose it is",
                );
            }
        }
    }
    compared.sort();
    compared.dedup();
    let names_rows = compared.iter().any(|(_, column)| chosen.rows.contains(column));
    if compared.len() > 1 || names_rows || compared.iter().any(|(depth, _)| *depth > 1) {
        return cell(
            "a subquery without patients compares several columns, or the number of a row: it could take one patient \
             out of some groups",
        );
    }
    Ok(())
}

/// True for a column of one of the block's own tables.
fn is_own(reference: &Node, block: &Block<'_>) -> bool {
    column_at(reference, block).is_some_and(|(alias, _)| block.items.iter().any(|item| item.alias == alias))
}

/// The column that a reference may mean in a block around this one, with how far that is.
fn around(reference: &Node, block: &Block<'_>) -> Option<(usize, Column)> {
    let names = reference.names("fields");
    let (alias, column) = match names.as_slice() {
        [column] => (None, *column),
        [.., alias, column] => (Some(*alias), *column),
        [] => return None,
    };
    let blocks = std::iter::successors(block.parent, |block| block.parent);
    blocks.enumerate().find_map(|(n, block)| {
        let may_have = |item: &&super::types::Item| match alias {
            Some(alias) => item.alias == alias,
            None => item.columns.as_ref().is_none_or(|all| all.iter().any(|(name, _)| name == column)),
        };
        let item = block.items.iter().find(may_have)?;
        Some((n + 1, (item.alias.clone(), column.to_owned())))
    })
}

/// The columns in `node` that are none of the block's own tables, where they are of a block around it.
fn outside(node: &Node, block: &Block<'_>) -> Vec<(usize, Column)> {
    let mut columns = Vec::new();
    columns_in(node, &mut columns);
    columns.into_iter().filter(|c| !is_own(c, block)).filter_map(|c| around(c, block)).collect()
}

/// Every column of the blocks around that a query reads, wherever it stands in it. A subquery in FROM does not see the
/// other items, but what is around them, under whatever name.
fn reaches_out(select: &Node, block: &Block<'_>) -> Vec<(usize, Column)> {
    fn in_from(item: &Node, block: &Block<'_>, out: &mut Vec<(usize, Column)>) {
        match item.kind {
            "RangeVar" => {}
            "JoinExpr" => {
                ["larg", "rarg"]
                    .iter()
                    .filter_map(|side| item.node(side))
                    .for_each(|i| in_from(i, block, out));
                out.extend(item.node("quals").into_iter().flat_map(|quals| outside(quals, block)));
            }
            _ => {
                let mut columns = Vec::new();
                columns_in(item, &mut columns);
                out.extend(columns.into_iter().filter_map(|c| around(c, block)));
            }
        }
    }
    let mut out = Vec::new();
    for item in select.nodes("from_clause") {
        in_from(item, block, &mut out);
    }
    for (field, _) in select.fields.iter().filter(|(field, _)| *field != "from_clause") {
        out.extend(select.nodes(field).chain(select.node(field)).flat_map(|node| outside(node, block)));
    }
    out
}
