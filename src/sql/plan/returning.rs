//! What a write returns, and reads, of masked columns of its target: RETURNING by name or by a star is given the mask,
//! everything else is refused. Not for witnesses (see `dml`).

use sqlparser::ast::{Expr, Ident, SelectItem, SelectItemQualifiedWildcardKind, Statement};

use super::dml::{Writer, target_of, trees};
use super::{Occurrence, PlanError, any_expr, fold};
use crate::catalog::{Column, quote_ident};
use crate::policy::returned_column;

/// The RETURNING clause of a write.
pub(super) fn returning_of(write: &mut Statement) -> Result<&mut Option<Vec<SelectItem>>, PlanError> {
    match write {
        Statement::Insert(insert) => Ok(&mut insert.returning),
        Statement::Update(update) => Ok(&mut update.returning),
        Statement::Delete(delete) => Ok(&mut delete.returning),
        _ => Err(PlanError::guard("this kind of write", "")),
    }
}

impl Writer<'_, '_> {
    /// Puts masks in place of masked columns that the write returns by name, or by a star where the target is alone.
    pub(super) fn masked(&mut self, write: &mut Statement) {
        let occurrences = self.occurrences;
        let Some(o) = target_of(write).map(|n| &occurrences[n]).filter(|o| !o.masks.is_empty()) else {
            return;
        };
        let alone = match &*write {
            Statement::Insert(_) => true,
            other => {
                let trees = trees(other).0;
                trees.len() == 1 && trees.iter().all(|tree| tree.joins.is_empty())
            }
        };
        let (params, texts) = (o.filter.then_some(self.params), &mut *self.texts);
        let Ok(Some(items)) = returning_of(write) else { return };
        let mut named = |column: &Column, shown: Option<Ident>| {
            let text = match returned_column(o.table, column, &o.alias, &o.masks, params) {
                Some(text) => text,
                // Read as it is: refused, if it is masked.
                None if !o.clear(&column.name) => return None,
                None => format!("{}.{}", quote_ident(&o.alias), quote_ident(&column.name)),
            };
            let expr = Expr::Identifier(texts.stand_for(text));
            let alias = shown.unwrap_or_else(|| Ident::with_quote('"', column.name.clone()));
            Some(SelectItem::ExprWithAlias { expr, alias })
        };
        let column_of = |expr: &Expr| {
            let name = match expr {
                Expr::Identifier(name) if alone => name,
                Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                    [of, name] if fold(of) == o.alias => name,
                    _ => return None,
                },
                _ => return None,
            };
            o.relation.column(&fold(name)).filter(|c| !o.clear(&c.name))
        };
        let mut out = Vec::with_capacity(items.len());
        for item in std::mem::take(items) {
            let replaced = match &item {
                SelectItem::UnnamedExpr(expr) => {
                    column_of(expr).and_then(|c| named(c, None)).map(|i| vec![i])
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    column_of(expr).and_then(|c| named(c, Some(alias.clone()))).map(|i| vec![i])
                }
                SelectItem::Wildcard(_) if alone => {
                    o.relation.columns.iter().map(|c| named(c, None)).collect()
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) if matches!(name.0.as_slice(), [of] if of.as_ident().is_some_and(|of| fold(of) == o.alias)) => {
                    o.relation.columns.iter().map(|c| named(c, None)).collect()
                }
                _ => None,
            };
            match replaced {
                Some(replaced) => out.extend(replaced),
                None => out.push(item),
            }
        }
        *items = out;
    }
}

/// True when an expression might read a masked column of `o`, judged by name.
pub(super) fn reads_mask(expr: &Expr, o: &Occurrence<'_>) -> bool {
    let reads = |name: &sqlparser::ast::Ident| {
        let name = fold(name);
        !o.clear(&name) || name == o.alias
    };
    match expr {
        Expr::Identifier(name) => reads(name),
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(reads),
        Expr::QualifiedWildcard(..) | Expr::Wildcard(_) => true,
        _ => false,
    }
}

/// Refuses a write on a masked table that might read a masked column.
pub(super) fn reads_no_mask(write: &Statement, target: &Occurrence<'_>) -> Result<(), PlanError> {
    let mut judge = |expr: &Expr| reads_mask(expr, target);
    // What was proposed for insertion is the client's own.
    let mut judge_conflict = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|p| fold(p) == "excluded") => false,
        other => reads_mask(other, target),
    };
    let star = |items: &Option<Vec<SelectItem>>| {
        items
            .iter()
            .flatten()
            .any(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
    };
    let found = match write {
        // The rows it inserts are read by a query of its own, which has its masks.
        Statement::Insert(insert) => {
            any_expr(&insert.on, &mut judge_conflict)
                || any_expr(&insert.returning, &mut judge)
                || star(&insert.returning)
        }
        Statement::Update(update) => any_expr(write, &mut judge) || star(&update.returning),
        Statement::Delete(delete) => any_expr(write, &mut judge) || star(&delete.returning),
        _ => true,
    };
    if found {
        return Err(PlanError::guard(
            format!("a write on {} that reads a column masked for this role", target.table.name),
            "name only columns that are not masked",
        ));
    }
    Ok(())
}
