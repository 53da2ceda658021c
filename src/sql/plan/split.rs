//! The split fence: a block that needs a fence is taken apart. Inside, behind `OFFSET 0`, stand its
//! tables with their joins and the conditions that are certainly harmless, so that the planner may use
//! indexes for them; outside, the other conditions and everything else, over subqueries that show the
//! columns under the tables' names. Where it cannot be done, each table gets a fence of its own. The guards
//! are placed later, as in any block; whether what stands inside is safe is for the checker to say.

use std::collections::HashMap;

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName,
    ObjectNamePart, Offset, OffsetRows, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, TableWithJoins, UnaryOperator, Value, ValueWithSpan,
    WildcardAdditionalOptions,
};

use super::around::Around;
use super::opaque::{COMPARISONS, compared};
use super::place::{Side, side};
use super::relations::Relations;
use super::walk::{Edit, Look, edit, look};
use super::{Occurrence, Placeholders, PlanError, PlanInput, any_expr, fold, ident, occurrence_of};
use crate::catalog::{Relation, Resolved, quote_ident};

/// Splits the blocks of `ast` that can be; true for each occurrence that needs no fence of its own then.
pub(super) fn blocks(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<Vec<bool>, PlanError> {
    let mut seen = Seen::default();
    look(ast, &mut seen);
    let done = vec![false; occurrences.len()];
    let relations = Relations::of(ast, occurrences, input);
    let around = Around::new(input.catalog);
    let mut splitter = Splitter { occurrences, input, texts, seen, done, relations, around };
    edit(ast, &mut splitter)?;
    Ok(splitter.done)
}

/// What has to be known of the whole statement.
#[derive(Default)]
struct Seen {
    /// Names of WITH queries.
    ctes: Vec<String>,
    /// How often each parameter stands in it.
    params: HashMap<String, usize>,
}

impl Look for Seen {
    fn query(&mut self, query: &Query) -> bool {
        let with = query.with.iter().flat_map(|w| &w.cte_tables);
        self.ctes.extend(with.map(|c| fold(&c.alias.name)));
        false
    }

    fn value(&mut self, value: &ValueWithSpan) -> bool {
        if let Value::Placeholder(name) = &value.value {
            *self.params.entry(name.clone()).or_default() += 1;
        }
        false
    }
}

struct Splitter<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    input: &'a PlanInput<'b>,
    texts: &'a mut Placeholders,
    seen: Seen,
    done: Vec<bool>,
    relations: Relations<'a, 'b>,
    around: Around<'b>,
}

/// A table of a block.
struct Item<'b> {
    alias: String,
    occurrence: Option<usize>,
    relation: &'b Relation,
}

impl<'b> Splitter<'_, 'b> {
    /// The tables of a block, when it is one of plain tables and inner joins.
    fn items(&self, from: &[TableWithJoins]) -> Option<Vec<Item<'b>>> {
        let mut items = Vec::new();
        for tree in from {
            items.push(self.item(&tree.relation)?);
            for join in &tree.joins {
                match side(&join.join_operator).ok()? {
                    (Side::Inner, JoinConstraint::On(_) | JoinConstraint::None) => {}
                    _ => return None,
                }
                items.push(self.item(&join.relation)?);
            }
        }
        let distinct = |item: &Item<'_>| items.iter().filter(|i| i.alias == item.alias).count() == 1;
        let filtered = |i: &Item<'_>| i.occurrence.is_some_and(|n| self.occurrences[n].filter);
        (items.len() > 1 && items.iter().all(distinct) && items.iter().any(filtered)).then_some(items)
    }

    fn item(&self, factor: &TableFactor) -> Option<Item<'b>> {
        let TableFactor::Table { name, alias, args: None, sample: None, .. } = factor else { return None };
        if alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return None;
        }
        if let Some(n) = occurrence_of(name) {
            let o = &self.occurrences[n];
            // A guard that asks other tables is looked up once a row of the block; in one that is run for each row around
            // those rows are few.
            let asks_others = o.table.rule.own_key().is_none() && !self.around.apart();
            let plain = o.masks.is_empty() && !o.renamed && !o.target && !asks_others;
            return plain.then(|| Item { alias: o.alias.clone(), occurrence: Some(n), relation: o.relation });
        }
        let parts: Vec<String> = name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect();
        let (schema, table) = match parts.as_slice() {
            [table] if !self.seen.ctes.contains(table) => (None, table),
            [schema, table] => (Some(schema.as_str()), table),
            _ => return None,
        };
        let Resolved::Relation(relation) = self.input.catalog.resolve(schema, table, self.input.namespace)
        else {
            return None;
        };
        let alias = alias.as_ref().map_or_else(|| table.clone(), |a| fold(&a.name));
        // Columns written with the schema would not find a subquery.
        let named = schema.is_none() || alias != *table;
        (named && !relation.columns.is_empty()).then_some(Item { alias, occurrence: None, relation })
    }

    fn split(&mut self, select: &mut Select) -> Option<TableWithJoins> {
        let written = select.from.clone();
        if self.around.apart() {
            self.spell_using(select);
        }
        let Some(items) = self.items(&select.from) else {
            select.from = written;
            return None;
        };
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        let mut from = select.from.clone();
        for condition in
            from.iter_mut().flat_map(|t| &mut t.joins).filter_map(|j| on_of(&mut j.join_operator))
        {
            let (safe, rest) = self.sorted(condition, &items);
            outside.extend(rest);
            *condition = all_of(safe).unwrap_or_else(|| Expr::value(Value::Boolean(true)));
        }
        if let Some(selection) = &select.selection {
            let (safe, rest) = self.sorted(selection, &items);
            inside.extend(safe);
            outside.extend(rest);
        }
        // The same names in every block, which nothing outside sees: expressions of the client's that are equal must
        // stay so (DISTINCT ON and ORDER BY).
        let block = "__glass_f1";
        let mut count = 0;
        let (mut columns, mut shown) = (Vec::new(), Vec::new());
        for item in &items {
            let mut names = Vec::new();
            for column in &item.relation.columns {
                count += 1;
                let own = format!("__glass_v{count}");
                let named = |n: &str| Ident::with_quote('"', n);
                let expr = Expr::CompoundIdentifier(vec![named(&item.alias), named(&column.name)]);
                columns.push(SelectItem::ExprWithAlias { expr, alias: ident(own.as_str()) });
                names.push(format!("{block}.{own} AS {}", quote_ident(&column.name)));
            }
            shown.push((item.alias.clone(), format!("LATERAL (SELECT {})", names.join(", "))));
            if let Some(n) = item.occurrence {
                self.done[n] = true;
            }
        }
        let inner = Select {
            distinct: None,
            projection: columns,
            from,
            selection: all_of(inside),
            group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
            having: None,
            named_window: Vec::new(),
            ..select.clone()
        };
        let offset =
            Offset { value: Expr::value(Value::Number("0".to_owned(), false)), rows: OffsetRows::None };
        let query = Query {
            with: None,
            body: Box::new(SetExpr::Select(Box::new(inner))),
            order_by: None,
            limit_clause: Some(LimitClause::LimitOffset {
                limit: None,
                offset: Some(offset),
                limit_by: Vec::new(),
            }),
            fetch: None,
            locks: Vec::new(),
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators: Vec::new(),
        };
        select.selection = all_of(outside);
        self.expand_stars(select, &items);
        select.from = shown
            .into_iter()
            .map(|(alias, text)| {
                let name = ObjectName(vec![ObjectNamePart::Identifier(self.texts.stand_for(text))]);
                let mut table = from_name(name);
                if let TableFactor::Table { alias: shown, .. } = &mut table {
                    *shown = Some(named_as(Ident::with_quote('"', alias)));
                }
                TableWithJoins { relation: table, joins: Vec::new() }
            })
            .collect();
        let subquery = Box::new(query);
        let alias = Some(named_as(ident(block)));
        let relation = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        Some(TableWithJoins { relation, joins: Vec::new() })
    }

    /// `USING (x)` of plain tables as `ON a.x = b.x`, where nothing names the merged column alone.
    fn spell_using(&self, select: &mut Select) {
        let star = |i: &SelectItem| matches!(i, SelectItem::Wildcard(_));
        if select.projection.iter().any(star) {
            return;
        }
        let mut alone = Vec::new();
        any_expr(&*select, &mut |e| {
            if let Expr::Identifier(name) = e {
                alone.push(fold(name));
            }
            false
        });
        let mut before: Vec<Item<'_>> = Vec::new();
        let mut from = select.from.clone();
        for tree in &mut from {
            let first = before.len();
            let Some(item) = self.item(&tree.relation) else { return };
            before.push(item);
            for join in &mut tree.joins {
                let Some(right) = self.item(&join.relation) else { return };
                if let JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) =
                    &mut join.join_operator
                    && let JoinConstraint::Using(names) = &*constraint
                {
                    let column = |name: &ObjectName| {
                        let name = name.0.first().and_then(|p| p.as_ident()).map(fold)?;
                        let mut left = before[first..].iter().filter(|i| i.relation.column(&name).is_some());
                        let (Some(left), None) = (left.next(), left.next()) else { return None };
                        let of = |alias: &str| {
                            let named = |n: &str| Ident::with_quote('"', n);
                            Box::new(Expr::CompoundIdentifier(vec![named(alias), named(&name)]))
                        };
                        let (left, right) = (of(&left.alias), of(&right.alias));
                        (!alone.contains(&name)).then_some(Expr::BinaryOp {
                            left,
                            op: BinaryOperator::Eq,
                            right,
                        })
                    };
                    let Some(all) = names.iter().map(column).collect::<Option<Vec<_>>>() else { return };
                    let Some(on) = all_of(all) else { return };
                    *constraint = JoinConstraint::On(on);
                }
                before.push(right);
            }
        }
        select.from = from;
    }

    /// `*` would show the columns twice.
    fn expand_stars(&self, select: &mut Select, items: &[Item<'_>]) {
        let list = std::mem::take(&mut select.projection);
        for item in list {
            match item {
                SelectItem::Wildcard(_) => select.projection.extend(items.iter().map(|i| {
                    let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', &i.alias))]);
                    SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(name),
                        WildcardAdditionalOptions::default(),
                    )
                })),
                other => select.projection.push(other),
            }
        }
    }

    /// The conjuncts of a condition: those that may stand inside, and the others.
    fn sorted(&self, condition: &Expr, items: &[Item<'_>]) -> (Vec<Expr>, Vec<Expr>) {
        let (mut safe, mut rest) = (Vec::new(), Vec::new());
        let mut todo = vec![condition];
        while let Some(expr) = todo.pop() {
            match expr {
                Expr::Nested(inner) => todo.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                    todo.push(right);
                    todo.push(left);
                }
                other if self.harmless(other, items) => safe.push(other.clone()),
                other => rest.push(other.clone()),
            }
        }
        (safe, rest)
    }

    fn harmless(&self, expr: &Expr, items: &[Item<'_>]) -> bool {
        let column = |e: &Expr| self.column(e, items);
        let constant = |e: &Expr| self.constant(e);
        match expr {
            Expr::Nested(inner) => self.harmless(inner, items),
            Expr::Value(v) => matches!(v.value, Value::Boolean(_)),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => column(expr) == Some("boolean"),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.harmless(expr, items),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                self.harmless(left, items) && self.harmless(right, items)
            }
            Expr::BinaryOp { left, op, right } => {
                use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
                let comparison = matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq);
                comparison && self.alike(left, right, items)
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.alike(left, right, items)
            }
            Expr::IsNull(e) | Expr::IsNotNull(e) => column(e).is_some(),
            Expr::Between { expr, low, high, .. } => {
                column(expr).is_some() && constant(low) && constant(high)
            }
            Expr::InList { expr, list, .. } => column(expr).is_some() && list.iter().all(constant),
            _ => false,
        }
    }

    /// True for two columns of one kind, and for a column and a constant, or one of a table around.
    fn alike(&self, left: &Expr, right: &Expr, items: &[Item<'_>]) -> bool {
        let around = |e: &Expr, kind: &str| self.around.kind(e, self.input.catalog) == Some(kind);
        match (self.column(left, items), self.column(right, items)) {
            (Some(a), Some(b)) => a == b,
            (Some(kind), None) => self.constant(right) || around(right, kind),
            (None, Some(kind)) => self.constant(left) || around(left, kind),
            (None, None) => false,
        }
    }

    /// The kind of a column of the block: what compares within a kind does so without an error.
    fn column(&self, expr: &Expr, items: &[Item<'_>]) -> Option<&'static str> {
        // Its own comparisons may do anything.
        let own_code = &self.input.catalog.own_code;
        let of = |item: &Item<'_>, name: &str| {
            let column = item.relation.column(name)?;
            if self.input.catalog.is_enum(column) {
                return (!COMPARISONS.iter().any(|op| own_code.redefines_for_enums(op))).then_some("enum");
            }
            let built_in = self.input.catalog.acts_as(column)?;
            compared(built_in).filter(|_| !COMPARISONS.iter().any(|op| own_code.redefines(op)))
        };
        match expr {
            Expr::Nested(inner) => self.column(inner, items),
            Expr::Identifier(name) => {
                let name = fold(name);
                let mut found = items.iter().filter(|i| i.relation.column(&name).is_some());
                match (found.next(), found.next()) {
                    (Some(item), None) => of(item, &name),
                    _ => None,
                }
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, name] => {
                    let alias = fold(alias);
                    of(items.iter().find(|i| i.alias == alias)?, &fold(name))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// A constant, or a parameter that stands nowhere else: moved, it must not take another type.
    fn constant(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.constant(inner),
            Expr::Value(v) => match &v.value {
                Value::Number(_, false) | Value::Boolean(_) | Value::SingleQuotedString(_) => true,
                Value::Placeholder(name) => self.seen.params.get(name) == Some(&1),
                _ => false,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                matches!(expr.as_ref(), Expr::Value(v) if matches!(&v.value, Value::Number(_, false)))
            }
            _ => false,
        }
    }
}

impl Edit for Splitter<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        self.around.enter(query, &self.relations);
        if !query.locks.is_empty() {
            return Ok(());
        }
        let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
        // The inner half of one that was split.
        let ours = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.starts_with("__glass_v"));
        if select.projection.first().is_some_and(ours) {
            return Ok(());
        }
        if let Some(inner) = self.split(select) {
            select.from.insert(0, inner);
        }
        Ok(())
    }

    fn query_end(&mut self) {
        self.around.leave();
    }

    fn expr(&mut self, expr: &mut Expr) {
        self.around.note(expr);
    }
}

fn on_of(operator: &mut JoinOperator) -> Option<&mut Expr> {
    match operator {
        JoinOperator::Join(JoinConstraint::On(e)) | JoinOperator::Inner(JoinConstraint::On(e)) => Some(e),
        _ => None,
    }
}

fn all_of(conditions: Vec<Expr>) -> Option<Expr> {
    let nested = conditions.into_iter().map(|c| Expr::Nested(Box::new(c)));
    nested.reduce(|l, r| Expr::BinaryOp { left: Box::new(l), op: BinaryOperator::And, right: Box::new(r) })
}

fn named_as(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn from_name(name: ObjectName) -> TableFactor {
    TableFactor::Table {
        name,
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}
