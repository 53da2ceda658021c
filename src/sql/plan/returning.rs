//! What a write returns, and reads, of masked columns of its target: RETURNING by name or by a star is given the mask,
//! everything else is refused. Not for witnesses (see `dml`).

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, ObjectName, OnConflict, OnConflictAction, OnInsert,
    SelectItem, SelectItemQualifiedWildcardKind, Statement,
};

use super::dml::{Writer, target_of, trees};
use super::{Occurrence, PlanError, any_expr, fold};
use crate::catalog::{Column, quote_ident};
use crate::policy::{RESERVED_PREFIX, returned_column};

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

/// True when an expression might read a masked column of `o`, judged by name. What another name than its own qualifies
/// is not its; what its own qualifies and is no column of it is a function of the row.
pub(super) fn reads_mask(expr: &Expr, o: &Occurrence<'_>) -> bool {
    reads(expr, o, false)
}

fn reads(expr: &Expr, o: &Occurrence<'_>, returning: bool) -> bool {
    let is_row = |name: &str| is_row_of(name, o, returning);
    let bare = |name: &Ident| {
        let name = fold(name);
        !o.clear(&name) || is_row(&name)
    };
    match expr {
        Expr::Identifier(name) => bare(name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., of, name] => {
                let name = fold(name);
                let clear = o.relation.column(&name).is_some() && o.clear(&name);
                is_row(&fold(of)) && !clear && !SYSTEM_COLUMNS.contains(&name.as_str())
            }
            _ => true,
        },
        Expr::QualifiedWildcard(name, _) => is_of(name, o, returning),
        Expr::Wildcard(_) => true,
        _ => false,
    }
}

const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// True when a row of `o` has this name, or can have it: in RETURNING, `old` and `new` are such names (PostgreSQL 18).
fn is_row_of(name: &str, o: &Occurrence<'_>, returning: bool) -> bool {
    name == o.alias || (returning && matches!(name, "old" | "new"))
}

fn is_of(qualifier: &ObjectName, o: &Occurrence<'_>, returning: bool) -> bool {
    let of = qualifier.0.last().and_then(|of| of.as_ident());
    of.is_none_or(|of| is_row_of(&fold(of), o, returning))
}

/// Refuses assignments to an element or a field of a masked column: what they leave of its value is read.
pub(super) fn changes_no_part(assignments: &[Assignment], o: &Occurrence<'_>) -> Result<(), PlanError> {
    // `a[1] = x` stands here as `a = __glass_x(x)` (see `words`).
    let element = |value: &Expr| {
        matches!(value, Expr::Function(f)
            if f.name.0.last().and_then(|n| n.as_ident()).is_some_and(|n| n.value.starts_with(RESERVED_PREFIX)))
    };
    for a in assignments {
        let names = match &a.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names.as_slice(),
        };
        for name in names.iter().filter(|n| n.0.len() > 1 || element(&a.value)) {
            let column = name.0.first().and_then(|n| n.as_ident()).map(fold);
            if column.as_ref().is_none_or(|c| o.relation.column(c).is_some() && !o.clear(c)) {
                return Err(PlanError::guard(
                    format!(
                        "a write on {} that assigns an element or field of a column masked for this role",
                        o.table.name
                    ),
                    "assign the whole column",
                ));
            }
        }
    }
    Ok(())
}

/// Refuses a write on a masked table that might read a masked column.
pub(super) fn reads_no_mask(write: &Statement, target: &Occurrence<'_>) -> Result<(), PlanError> {
    match write {
        Statement::Update(update) => changes_no_part(&update.assignments, target)?,
        Statement::Insert(insert) => {
            if let Some(OnInsert::OnConflict(OnConflict {
                action: OnConflictAction::DoUpdate(update), ..
            })) = &insert.on
            {
                changes_no_part(&update.assignments, target)?;
            }
        }
        _ => {}
    }
    let mut judge = |expr: &Expr| reads_mask(expr, target);
    let mut returned = |expr: &Expr| reads(expr, target, true);
    let star = |items: &Option<Vec<SelectItem>>| {
        items.iter().flatten().any(|i| match i {
            SelectItem::Wildcard(_) => true,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), _) => {
                is_of(of, target, true)
            }
            SelectItem::QualifiedWildcard(..) => true,
            _ => false,
        })
    };
    // What FROM and USING read is not the target's: they cannot name it.
    let found = match write {
        // The rows it inserts are read by a query of its own, which has its masks; what was proposed for insertion
        // (`excluded`) is the client's own.
        Statement::Insert(insert) => {
            any_expr(&insert.on, &mut judge)
                || any_expr(&insert.returning, &mut returned)
                || star(&insert.returning)
        }
        Statement::Update(update) => {
            any_expr(&update.assignments, &mut judge)
                || any_expr(&update.selection, &mut judge)
                || any_expr(&update.returning, &mut returned)
                || star(&update.returning)
        }
        Statement::Delete(delete) => {
            any_expr(&delete.selection, &mut judge)
                || any_expr(&delete.returning, &mut returned)
                || star(&delete.returning)
        }
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
