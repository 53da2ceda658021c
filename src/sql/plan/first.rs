//! What FROM of a write reads besides plain tables, where something in it could fail: it goes into WITH
//! queries that are read to their end before anything else of the write. Whether it fails then depends on
//! no row of the tables that the write joins it with. A fence cannot do this: a target has none.

use sqlparser::ast::{
    BinaryOperator, Cte, CteAsMaterialized, Expr, FromTable, ObjectNamePart, Query, SelectItem, SetExpr,
    Statement, TableFactor, TableWithJoins, UpdateTableFromKind, With,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::returning::returning_of;
use super::{Placeholders, PlanError, any_expr, fold, occurrence_of};
use crate::policy::asked_first;

/// Asks for the items of FROM or USING of every write of `ast` first.
pub(super) fn items(ast: &mut Statement, texts: &mut Placeholders) -> Result<(), PlanError> {
    let mut mover = Mover { texts, made: 0 };
    if matches!(ast, Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_)) {
        let Statement::Query(mut around) = parsed("SELECT 1")? else { return Ok(()) };
        let mut with = None;
        mover.write(ast, &mut with, &mut [])?;
        if with.is_some() {
            let inner = std::mem::replace(ast, Statement::Query(around.clone()));
            around.with = with;
            *around.body = match inner {
                Statement::Update(_) => SetExpr::Update(inner),
                Statement::Delete(_) => SetExpr::Delete(inner),
                _ => SetExpr::Merge(inner),
            };
            *ast = Statement::Query(around);
        }
        return Ok(());
    }
    let Statement::Query(query) = ast else { return Ok(()) };
    if let Some(with) = &mut query.with {
        for at in 0..with.cte_tables.len() {
            let (before, rest) = with.cte_tables.split_at_mut(at);
            if let Some(cte) = rest.first_mut() {
                let Query { with, body, .. } = cte.query.as_mut();
                if let SetExpr::Update(write) | SetExpr::Delete(write) = body.as_mut() {
                    mover.write(write, with, before)?;
                }
            }
        }
    }
    let Query { with, body, .. } = query.as_mut();
    match body.as_mut() {
        SetExpr::Update(write) | SetExpr::Delete(write) | SetExpr::Merge(write) => {
            mover.write(write, with, &mut [])
        }
        _ => Ok(()),
    }
}

fn parsed(text: &str) -> Result<Statement, PlanError> {
    let mut all = Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(PlanError::from)?;
    all.pop().ok_or_else(|| PlanError::Parse("a text of ours".to_owned()))
}

/// Where the condition of a write stands.
enum Condition<'w> {
    Where(&'w mut Option<Expr>),
    On(&'w mut Box<Expr>),
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left))),
        op: BinaryOperator::And,
        right: Box::new(right),
    }
}

struct Mover<'a> {
    texts: &'a mut Placeholders,
    made: usize,
}

impl Mover<'_> {
    /// One write with its own WITH, below the WITH queries `outer`.
    fn write(
        &mut self,
        write: &mut Statement,
        with: &mut Option<With>,
        outer: &mut [Cte],
    ) -> Result<(), PlanError> {
        let star = |i: &SelectItem| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        let starred = returning_of(write).is_ok_and(|r| r.iter().flatten().any(star));
        let mut factors = Vec::new();
        let condition = match write {
            Statement::Update(update) => {
                if let Some(UpdateTableFromKind::BeforeSet(items) | UpdateTableFromKind::AfterSet(items)) =
                    &mut update.from
                {
                    items.iter_mut().for_each(|tree| factors_of(tree, &mut factors));
                }
                Condition::Where(&mut update.selection)
            }
            Statement::Delete(delete) => {
                let FromTable::WithFromKeyword(_) = &delete.from else { return Ok(()) };
                delete.using.iter_mut().flatten().for_each(|tree| factors_of(tree, &mut factors));
                Condition::Where(&mut delete.selection)
            }
            Statement::Merge(merge) => {
                match &mut merge.source {
                    TableFactor::NestedJoin { table_with_joins, .. } => {
                        factors_of(table_with_joins, &mut factors);
                    }
                    other => factors.push(other),
                }
                Condition::On(&mut merge.on)
            }
            _ => return Ok(()),
        };
        let mut first: Vec<String> = Vec::new();
        let mut made: Vec<Cte> = Vec::new();
        for factor in factors {
            let known = match factor {
                TableFactor::Table { name, args: None, .. } => match name.0.as_slice() {
                    [ObjectNamePart::Identifier(one)] if occurrence_of(name).is_none() => fold(one),
                    _ => continue,
                },
                _ => {
                    first.extend(self.moved(factor, starred, &mut made)?);
                    continue;
                }
            };
            let own = with.iter_mut().flat_map(|w| &mut w.cte_tables).rev();
            let mut all = own.chain(outer.iter_mut().rev());
            if let Some(cte) = all.find(|c| fold(&c.alias.name) == known) {
                if !super::with::modifies(&cte.query) {
                    cte.materialized = Some(CteAsMaterialized::Materialized);
                }
                first.push(known);
            }
        }
        if !made.is_empty() {
            match with {
                Some(with) => with.cte_tables.extend(made),
                None => {
                    let Statement::Query(query) = parsed("WITH x AS (SELECT 1) SELECT 1")? else {
                        return Ok(());
                    };
                    *with = query.with.map(|w| With { cte_tables: made, ..w });
                }
            }
        }
        first.dedup();
        let asked: Vec<Expr> =
            first.iter().map(|name| Expr::Identifier(self.texts.stand_for(asked_first(name)))).collect();
        match condition {
            Condition::Where(selection) => {
                *selection = selection.take().into_iter().chain(asked).reduce(and);
            }
            Condition::On(on) => {
                let client = std::mem::replace(on.as_mut(), Expr::Tuple(Vec::new()));
                **on = asked.into_iter().fold(client, and);
            }
        }
        Ok(())
    }

    /// A subquery or function becomes a WITH query, if it reads nothing beside it; its name. `starred`: RETURNING has
    /// a star.
    fn moved(
        &mut self,
        factor: &mut TableFactor,
        starred: bool,
        made: &mut Vec<Cte>,
    ) -> Result<Option<String>, PlanError> {
        let reads = |e: &Expr| matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        let (alias, function) = match factor {
            TableFactor::Derived { lateral: false, alias: Some(alias), sample: None, .. } => {
                (alias.clone(), None)
            }
            TableFactor::Table { alias: Some(alias), name, .. }
            | TableFactor::Function { lateral: false, alias: Some(alias), name, .. } => {
                (alias.clone(), Some(name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default()))
            }
            TableFactor::UNNEST { alias: Some(alias), .. } => (alias.clone(), Some("unnest".to_owned())),
            _ => return Ok(None),
        };
        if function.is_some() && any_expr(factor, &mut |e| reads(e)) {
            return Ok(None);
        }
        // Of these the alias is the value, and so is a column of another name.
        let valued =
            alias.columns.is_empty() && function.as_ref().is_some_and(|f| f.contains("_array_elements"));
        if valued && starred {
            return Ok(None);
        }
        self.made += 1;
        let name = format!("__glass_f{}", self.made);
        let list = if valued { format!("{0}.*, {0}", alias.name) } else { "*".to_owned() };
        let text = format!(
            "WITH {name} AS MATERIALIZED (SELECT {list} FROM x) SELECT 1 FROM {name} AS {}",
            alias.name
        );
        let Statement::Query(mut query) = parsed(&text)? else { return Ok(None) };
        let cte = query.with.take().and_then(|w| w.cte_tables.into_iter().next());
        let SetExpr::Select(outer) = *query.body else { return Ok(None) };
        let stand_in = outer.from.into_iter().next().map(|t| t.relation);
        let (Some(mut cte), Some(mut stand_in)) = (cte, stand_in) else { return Ok(None) };
        if function.is_none()
            && let TableFactor::Table { alias: shown, .. } = &mut stand_in
        {
            *shown = Some(alias);
        }
        match (std::mem::replace(factor, stand_in), cte.query.body.as_mut()) {
            (TableFactor::Derived { subquery, .. }, _) => cte.query = subquery,
            (function, SetExpr::Select(select)) => {
                select.from.iter_mut().for_each(|tree| tree.relation = function.clone());
            }
            _ => return Ok(None),
        }
        made.push(cte);
        Ok(Some(name))
    }
}

/// The factors of a join tree, those in parentheses included.
fn factors_of<'t>(tree: &'t mut TableWithJoins, found: &mut Vec<&'t mut TableFactor>) {
    let TableWithJoins { relation, joins } = tree;
    for factor in std::iter::once(relation).chain(joins.iter_mut().map(|j| &mut j.relation)) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => factors_of(table_with_joins, found),
            other => found.push(other),
        }
    }
}
