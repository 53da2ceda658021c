//! What a subquery computes, in the places where its columns stood.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind,
};

use super::subquery::{Parts, shown_name};
use crate::sql::plan::cohorts::bare_name;
use crate::sql::plan::walk::{Edit, edit};
use crate::sql::plan::{PlanError, fold};

/// Puts what a subquery computes in the places of its columns, and the names of tables before other bare columns.
pub(super) struct Put<'a, 'b> {
    pub(super) alias: &'a str,
    pub(super) parts: &'a Parts<'b>,
    pub(super) others: &'a [(String, BTreeSet<String>)],
    pub(super) merged: &'a BTreeMap<String, Expr>,
    pub(super) depth: usize,
    pub(super) failed: bool,
}

impl Put<'_, '_> {
    pub(super) fn all(&mut self, select: &mut Select, order_by: &mut Option<OrderBy>) -> Option<()> {
        select.projection = self.spelled(std::mem::take(&mut select.projection))?;
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { expr, .. } => edit(expr, self).ok()?,
                SelectItem::UnnamedExpr(expr) => {
                    let name = shown_name(expr);
                    let before = expr.clone();
                    edit(expr, self).ok()?;
                    // The name of a column of the answer stays.
                    if let Some(alias) = name.filter(|_| *expr != before) {
                        let alias = Ident::with_quote('"', alias);
                        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                    }
                }
                _ => return None,
            }
        }
        let shown: Vec<(String, Expr)> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => Some((fold(alias), expr.clone())),
                SelectItem::UnnamedExpr(expr) => Some((shown_name(expr)?, expr.clone())),
                _ => None,
            })
            .collect();
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys {
                // A column of FROM comes first, then one of the answer.
                match key {
                    Expr::Identifier(name) if !self.is_column(&fold(name)) => {
                        let name = fold(name);
                        let (_, expr) = shown.iter().find(|(n, _)| *n == name)?;
                        *key = expr.clone();
                    }
                    _ => edit(key, self).ok()?,
                }
            }
        } else {
            return None;
        }
        if let Some(order_by) = order_by {
            let OrderByKind::Expressions(keys) = &mut order_by.kind else { return None };
            for key in keys {
                match &key.expr {
                    Expr::Identifier(name) if shown.iter().any(|(n, _)| *n == fold(name)) => {}
                    _ => edit(&mut key.expr, self).ok()?,
                }
            }
        }
        edit(&mut select.selection, self).ok()?;
        edit(&mut select.having, self).ok()?;
        edit(&mut select.named_window, self).ok()?;
        edit(&mut select.from, self).ok()?;
        (!self.failed).then_some(())
    }

    /// A list with the columns of the subquery in the place of its stars.
    fn spelled(&self, list: Vec<SelectItem>) -> Option<Vec<SelectItem>> {
        let mut spelled = Vec::new();
        for item in list {
            let mine = match &item {
                SelectItem::Wildcard(more) => self.others.is_empty() && more.to_string().is_empty(),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), more) => {
                    more.to_string().is_empty() && bare_name(name).as_deref() == Some(self.alias)
                }
                _ => false,
            };
            if !mine {
                spelled.push(item);
                continue;
            }
            for (name, _) in &self.parts.columns {
                if name.starts_with('?') {
                    return None;
                }
                let alias = Ident::with_quote('"', name);
                spelled.push(SelectItem::ExprWithAlias { expr: self.column(name)?, alias });
            }
        }
        Some(spelled)
    }

    fn is_column(&self, name: &str) -> bool {
        self.merged.contains_key(name)
            || self.parts.columns.iter().any(|(n, _)| n == name)
            || self.others.iter().any(|(_, all)| all.contains(name))
    }

    fn column(&self, name: &str) -> Option<Expr> {
        let (_, expr) = self.parts.columns.iter().find(|(n, _)| n == name)?;
        Some(match expr {
            Expr::CompoundIdentifier(_) | Expr::Cast { .. } | Expr::Function(_) | Expr::Case { .. } => {
                expr.clone()
            }
            other => Expr::Nested(Box::new(other.clone())),
        })
    }

    fn bare(&self, name: &str) -> Option<Expr> {
        if let Some(merged) = self.merged.get(name) {
            return Some(merged.clone());
        }
        let others: Vec<&String> =
            self.others.iter().filter(|(_, all)| all.contains(name)).map(|(a, _)| a).collect();
        match (self.column(name), others.as_slice()) {
            (Some(expr), []) => Some(expr),
            (None, [alias]) => {
                let named = |n: &str| Ident::with_quote('"', n);
                Some(Expr::CompoundIdentifier(vec![named(alias), named(name)]))
            }
            _ => None,
        }
    }
}

impl Edit for Put<'_, '_> {
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        self.depth += 1;
        Ok(())
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &mut Expr) {
        let found = match expr {
            Expr::Identifier(name) if self.depth == 0 => self.bare(&fold(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] if fold(alias) == self.alias => self.column(&fold(column)),
                [_, _] => return,
                _ => None,
            },
            Expr::CompoundFieldAccess { .. } | Expr::QualifiedWildcard(..) => None,
            _ => return,
        };
        match found {
            Some(found) => *expr = found,
            None => self.failed = true,
        }
    }
}
