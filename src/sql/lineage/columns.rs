//! The columns and conditions of one query block, as far as they can be told from its text and
//! the catalog: which item a column belongs to, which conjunct acts on which item before anything
//! else can. What cannot be told is `None`; callers then assume the worst.

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use crate::catalog::{Oid, Resolved};
use crate::sql::plan::{CteNames, Occurrence, PlanInput, Side, fold, occurrence_of, side};
use crate::sql::words::is_opaque;

/// One item of a FROM clause.
#[derive(Debug)]
pub(super) struct Item<'q> {
    /// Its name in the block.
    pub(super) alias: String,
    /// The protected occurrence that it is.
    pub(super) occurrence: Option<usize>,
    /// The relation that it is.
    pub(super) relation: Option<Oid>,
    /// Its column names, when all are known.
    pub(super) columns: Option<Vec<String>>,
    /// The subquery that it is, under its own column names.
    pub(super) subquery: Option<&'q Query>,
}

/// A conjunct with the items it filters before anything else (`allowed`) and those below it.
#[derive(Debug)]
pub(super) struct Clause<'q> {
    pub(super) expr: Conjunct<'q>,
    pub(super) allowed: Vec<usize>,
    /// The items it can name.
    pub(super) scope: Vec<usize>,
}

/// A condition, or the equality that USING and NATURAL mean.
#[derive(Debug)]
pub(super) enum Conjunct<'q> {
    Condition(&'q Expr),
    /// `left.column = right.column` of two items.
    Equal(usize, usize, String),
}

/// One query block.
#[derive(Debug, Default)]
pub(super) struct Block<'q> {
    pub(super) items: Vec<Item<'q>>,
    pub(super) clauses: Vec<Clause<'q>>,
    /// The items that no outer join makes nullable.
    pub(super) live: Vec<usize>,
    /// False when a name with two candidates may be another column than the left one's.
    pub(super) merged_is_left: bool,
}

/// A column of an item.
pub(super) type ColumnRef = (usize, String);

/// Splits a condition at its top-level ANDs, parentheses removed.
pub(crate) fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let mut found = Vec::new();
    let mut todo = vec![expr];
    while let Some(e) = todo.pop() {
        match e {
            Expr::Nested(inner) => todo.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                todo.push(right);
                todo.push(left);
            }
            other => found.push(other),
        }
    }
    found
}

/// A subtree of a FROM clause: its items, and those not yet nullable.
struct Sub {
    all: Vec<usize>,
    live: Vec<usize>,
}

impl<'q> Block<'q> {
    /// The block over `from` with the condition `selection`.
    pub(super) fn new(
        from: impl IntoIterator<Item = &'q TableWithJoins>,
        selection: Option<&'q Expr>,
        occurrences: &[Occurrence<'_>],
        ctes: &CteNames,
        input: &PlanInput<'_>,
    ) -> Self {
        let mut builder =
            Builder { block: Block { merged_is_left: true, ..Block::default() }, occurrences, ctes, input };
        let mut live = Vec::new();
        for (n, tree) in from.into_iter().enumerate() {
            live.extend(builder.tree(tree).live);
            builder.block.merged_is_left &= n == 0;
        }
        if let Some(selection) = selection {
            let all: Vec<usize> = (0..builder.block.items.len()).collect();
            builder.conditions(selection, &live, &all);
        }
        builder.block.live = live;
        builder.block
    }

    /// The item and column that `expr` is, if it is one of this block and can be told.
    pub(super) fn column(&self, expr: &Expr) -> Option<ColumnRef> {
        match expr {
            Expr::Identifier(name) => self.unqualified(&fold(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] => self.item(&fold(alias)).map(|i| (i, fold(column))),
                _ => None,
            },
            Expr::Nested(inner) => self.column(inner),
            _ => None,
        }
    }

    /// The item of this alias.
    pub(super) fn item(&self, alias: &str) -> Option<usize> {
        let mut found = self.items.iter().enumerate().filter(|(_, i)| i.alias == alias);
        match (found.next(), found.next()) {
            (Some((i, _)), None) => Some(i),
            _ => None,
        }
    }

    fn unqualified(&self, name: &str) -> Option<ColumnRef> {
        let mut found = None;
        for (i, item) in self.items.iter().enumerate() {
            if item.columns.as_ref()?.iter().any(|c| c == name) {
                match found {
                    None => found = Some((i, name.to_owned())),
                    // Two candidates in a valid statement: a merged column of USING or NATURAL.
                    Some(_) if self.merged_is_left => {}
                    Some(_) => return None,
                }
            }
        }
        found
    }
}

struct Builder<'a, 'b, 'q> {
    block: Block<'q>,
    occurrences: &'a [Occurrence<'b>],
    ctes: &'a CteNames,
    input: &'a PlanInput<'b>,
}

impl<'q> Builder<'_, '_, 'q> {
    fn conditions(&mut self, expr: &'q Expr, allowed: &[usize], scope: &[usize]) {
        for c in conjuncts(expr) {
            let expr = Conjunct::Condition(c);
            self.block.clauses.push(Clause { expr, allowed: allowed.to_vec(), scope: scope.to_vec() });
        }
    }

    fn tree(&mut self, tree: &'q TableWithJoins) -> Sub {
        let mut left = self.factor(&tree.relation);
        for join in &tree.joins {
            let mut right = self.factor(&join.relation);
            let Ok((kind, constraint)) = side(&join.join_operator) else {
                left.all.extend(right.all);
                left.live.clear();
                continue;
            };
            let (allowed, live) = match kind {
                Side::Inner => {
                    let mut both = left.live.clone();
                    both.append(&mut right.live);
                    (both.clone(), both)
                }
                Side::Left => (right.live.clone(), left.live.clone()),
                Side::Right => (left.live.clone(), right.live.clone()),
                Side::Full => (Vec::new(), Vec::new()),
            };
            match constraint {
                JoinConstraint::On(on) => {
                    let scope = [left.all.as_slice(), right.all.as_slice()].concat();
                    self.conditions(on, &allowed, &scope);
                }
                JoinConstraint::None => {}
                JoinConstraint::Using(_) | JoinConstraint::Natural => {
                    if !matches!(kind, Side::Inner | Side::Left) {
                        self.block.merged_is_left = false;
                    }
                    self.merged(constraint, &left.all, &right.all, &allowed);
                }
            }
            left.all.append(&mut right.all);
            left.live = live;
        }
        left
    }

    /// The equalities of USING or NATURAL between two single tables; of more, none are told.
    fn merged(&mut self, constraint: &JoinConstraint, left: &[usize], right: &[usize], allowed: &[usize]) {
        let ([l], [r]) = (left, right) else { return };
        let names: Vec<String> = match constraint {
            JoinConstraint::Using(names) => names.iter().filter_map(single).collect(),
            JoinConstraint::Natural => {
                let columns = |i: usize| self.block.items[i].columns.clone().unwrap_or_default();
                let other = columns(*r);
                columns(*l).into_iter().filter(|c| other.contains(c)).collect()
            }
            JoinConstraint::On(_) | JoinConstraint::None => return,
        };
        for name in names {
            let expr = Conjunct::Equal(*l, *r, name);
            self.block.clauses.push(Clause { expr, allowed: allowed.to_vec(), scope: vec![*l, *r] });
        }
    }

    fn add(&mut self, item: Item<'q>) -> Sub {
        self.block.items.push(item);
        let i = self.block.items.len() - 1;
        Sub { all: vec![i], live: vec![i] }
    }

    fn opaque(&mut self, alias: Option<&TableAlias>) -> Sub {
        let alias = alias.map(|a| fold(&a.name)).unwrap_or_default();
        self.add(Item { alias, occurrence: None, relation: None, columns: None, subquery: None })
    }

    fn factor(&mut self, factor: &'q TableFactor) -> Sub {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let item = table_item(name, alias.as_ref(), self.occurrences, self.ctes, self.input);
                self.add(item)
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let renamed = alias.as_ref().is_some_and(|a| !a.columns.is_empty());
                let columns = match alias {
                    Some(a) if a.columns.is_empty() => output_columns(subquery),
                    _ => None,
                };
                let alias = alias.as_ref().map(|a| fold(&a.name)).unwrap_or_default();
                let subquery = Some(&**subquery).filter(|_| !renamed);
                self.add(Item { alias, occurrence: None, relation: None, columns, subquery })
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.block.merged_is_left = false;
                self.tree(table_with_joins)
            }
            // The tables inside are hidden behind the alias; their own conditions are not used.
            TableFactor::NestedJoin { alias, .. } => self.opaque(alias.as_ref()),
            TableFactor::Table { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::XmlTable { alias, .. } => self.opaque(alias.as_ref()),
            _ => self.opaque(None),
        }
    }
}

/// The single identifier that a name is.
pub(super) fn single(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(i)] => Some(fold(i)),
        _ => None,
    }
}

/// The item for a plain table name: an occurrence, a relation of the catalog, a WITH query.
pub(super) fn table_item(
    name: &ObjectName,
    alias: Option<&TableAlias>,
    occurrences: &[Occurrence<'_>],
    ctes: &CteNames,
    input: &PlanInput<'_>,
) -> Item<'static> {
    let renamed = alias.is_some_and(|a| !a.columns.is_empty());
    if let Some(n) = occurrence_of(name) {
        let o = &occurrences[n];
        let columns = (!renamed).then(|| o.relation.columns.iter().map(|c| c.name.clone()).collect());
        let occurrence = (!renamed).then_some(n);
        return Item {
            alias: o.alias.clone(),
            occurrence,
            relation: Some(o.relation.oid),
            columns,
            subquery: None,
        };
    }
    let parts: Vec<&Ident> = name.0.iter().filter_map(|p| p.as_ident()).collect();
    let last = parts.last().map(|i| fold(i)).unwrap_or_default();
    let shown = alias.map_or_else(|| last.clone(), |a| fold(&a.name));
    let opaque =
        Item { alias: shown.clone(), occurrence: None, relation: None, columns: None, subquery: None };
    let resolved = match parts.as_slice() {
        [table] if ctes.has(&fold(table)) => return opaque,
        [table] => input.catalog.resolve(None, &fold(table), input.namespace),
        [schema, table] => input.catalog.resolve(Some(&fold(schema)), &fold(table), input.namespace),
        _ => return opaque,
    };
    match resolved {
        Resolved::Relation(r) if !renamed => Item {
            alias: shown,
            occurrence: None,
            relation: Some(r.oid),
            columns: Some(r.columns.iter().map(|c| c.name.clone()).collect()),
            subquery: None,
        },
        _ => opaque,
    }
}

/// The occurrence of the block `select` that a column is of.
pub(crate) fn occurrence_of_column(
    select: &Select,
    column: &Expr,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Option<usize> {
    let block = Block::new(&select.from, None, occurrences, &CteNames::default(), input);
    let (i, _) = block.column(column)?;
    block.items.get(i)?.occurrence
}

/// True for a column of the block `select` that is, or acts as one, of the built-in type `type_sql`.
pub(crate) fn is_of_type(
    select: &Select,
    column: &Expr,
    type_sql: &str,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> bool {
    let block = Block::new(&select.from, None, occurrences, &CteNames::default(), input);
    let found = block.column(column).and_then(|(i, name)| {
        let relation = input.catalog.relation(block.items.get(i)?.relation?)?;
        input.catalog.acts_as(relation.column(&name)?)
    });
    found == Some(type_sql)
}

/// The occurrence and its column that `column` of the subquery is, where it is one unchanged.
pub(super) fn column_below(
    query: &Query,
    column: &str,
    occurrences: &[Occurrence<'_>],
    ctes: &CteNames,
    input: &PlanInput<'_>,
) -> Option<(usize, String)> {
    let select = match query.body.as_ref() {
        _ if query.with.is_some() => return None,
        SetExpr::Select(select) => select,
        SetExpr::Query(inner) => return column_below(inner, column, occurrences, ctes, input),
        _ => return None,
    };
    let own = Expr::Identifier(Ident::with_quote('"', column));
    let mut found = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => (fold(alias) == column).then_some(expr),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => (fold(name) == column).then_some(expr),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => {
            (parts.last().map(fold).as_deref() == Some(column)).then_some(expr)
        }
        SelectItem::Wildcard(_) => Some(&own),
        _ => None,
    });
    let (expr, None) = (found.next()?, found.next()) else { return None };
    let block = Block::new(&select.from, None, occurrences, ctes, input);
    let (i, name) = block.column(expr)?;
    let item = block.items.get(i)?;
    match (item.occurrence, item.subquery) {
        (Some(n), _) => Some((n, name)),
        (None, Some(inner)) => column_below(inner, &name, occurrences, ctes, input),
        (None, None) => None,
    }
}

/// The output names of a subquery, when its text alone tells all of them.
pub(super) fn output_columns(query: &Query) -> Option<Vec<String>> {
    match query.body.as_ref() {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(fold(name)).filter(|n| !is_opaque(n)),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                    parts.last().map(fold).filter(|n| !is_opaque(n))
                }
                _ => None,
            })
            .collect(),
        SetExpr::Query(inner) => output_columns(inner),
        SetExpr::SetOperation { left, .. } => match left.as_ref() {
            SetExpr::Select(_) | SetExpr::Query(_) => {
                let mut shell = query.clone();
                shell.body = left.clone();
                output_columns(&shell)
            }
            _ => None,
        },
        _ => None,
    }
}
