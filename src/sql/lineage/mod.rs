//! Lineage: how the record learns which patients a statement's reply depends on.
//!
//! Three strategies, in this order: the statement pins its patients; its rows carry their keys;
//! a bound in the same statement collects a superset. When in doubt the next one is taken: the
//! bound is sound for every deterministic statement. Not for guards, which hold without this.

mod carry;
mod columns;
mod functions;
mod local;
mod named;
mod pins;
mod sought;
mod tree;

pub(super) use carry::{WriteWitness, carry_write, returned_columns};
pub(super) use columns::{conjuncts, is_of_type, occurrence_of_column};
pub(super) use functions::{is_aggregate, makes_rows};
pub(super) use local::{compares, split_plain};
pub(super) use pins::{Values, constant};

use std::collections::{HashMap, HashSet};

use sqlparser::ast::{
    Expr, FromTable, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins, UpdateTableFromKind,
    Visit,
};

use super::plan::{
    CteNames, Occurrence, Placeholders, PlanInput, Side, TrustedPins, any_expr, any_query, fold,
    occurrence_of, side,
};
use super::{Pin, PinValue};
use columns::Block;
use pins::{Level, Sought};

/// What the text says about every occurrence.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    /// The key values an occurrence is pinned to, by occurrence.
    pub(super) pinned: Vec<Option<Values>>,
    /// The occurrence of a block around whose row's patient every row of an occurrence has that matters to that row,
    /// by occurrence: who is told whose those rows are is told of these.
    shares: Vec<Option<usize>>,
    /// Safe conjuncts on the occurrence alone, over the alias `our_alias()`.
    pub(super) local: Vec<Vec<String>>,
    /// The patients the statement names.
    pub(super) pins: Vec<Pin>,
}

impl Analysis {
    /// Patients whom the statement was found to name where its conditions were still in sight: nothing else follows
    /// from them.
    pub(super) fn also_asks_for(&mut self, pins: Vec<Pin>) {
        for pin in pins {
            if !self.pins.iter().any(|known| known.same_as(&pin)) {
                self.pins.push(Pin { certain: false, ..pin });
            }
        }
    }

    /// True for an occurrence of whose patients nothing has to be collected: they are named, or those of rows around.
    pub(super) fn is_covered(&self, n: usize) -> bool {
        self.shares_row(n) || self.pinned.get(n).is_some_and(Option::is_some)
    }

    /// True for an occurrence whose patients are those of rows around.
    pub(super) fn shares_row(&self, n: usize) -> bool {
        self.shares.get(n).is_some_and(Option::is_some)
    }

    /// What shares the patient of a pinned row is pinned as well.
    fn pin_shared(&mut self) {
        for _ in 0..self.shares.len() {
            for n in 0..self.shares.len() {
                if let (None, Some(around)) = (&self.pinned[n], self.shares[n]) {
                    self.pinned[n] = self.pinned[around].clone();
                }
            }
        }
    }

    /// Occurrences pinned to what is not trusted count as not pinned.
    pub(super) fn trust(&mut self, pins: TrustedPins) {
        let known = |values: &Values| match pins {
            TrustedPins::All => true,
            TrustedPins::Constants => values.iter().all(|v| matches!(v, PinValue::Constant(_))),
            TrustedPins::Rows => false,
        };
        for pinned in &mut self.pinned {
            *pinned = pinned.take().filter(known);
        }
    }

    /// True when every occurrence is pinned.
    pub(super) fn all_pinned(&self) -> bool {
        !self.pinned.is_empty() && self.pinned.iter().all(Option::is_some)
    }
}

/// The strategy that was taken.
pub(super) enum Evidence {
    /// Pins alone.
    Pinned,
    /// Hidden columns are in place.
    Carried,
    /// The statement must be wrapped; the reasons.
    Bound(Vec<&'static str>),
}

/// Reads pins and local conjuncts off a tagged statement.
pub(super) fn analyse(ast: &Statement, occurrences: &[Occurrence<'_>], input: &PlanInput<'_>) -> Analysis {
    let mut reader = Reader {
        occurrences,
        input,
        params: local::param_uses(ast),
        named: HashSet::new(),
        found: Analysis {
            pinned: occurrences.iter().map(|_| None).collect(),
            shares: vec![None; occurrences.len()],
            local: occurrences.iter().map(|_| Vec::new()).collect(),
            pins: Vec::new(),
        },
    };
    reader.statement(ast, &CteNames::default(), &[]);
    reader.found.pin_shared();
    reader.found
}

/// True when there can be no row in the reply, or changed, without a row of an occurrence that is pinned: it
/// stands in the top block, on the nullable side of no join, and no rows are merged.
pub(super) fn rows_show_pins(
    ast: &Statement,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    input: &PlanInput<'_>,
) -> bool {
    let needed = |trees: &[&TableWithJoins]| trees.iter().any(|tree| needs_pinned(tree, analysis));
    match ast {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Select(select) => {
                !merges_rows(ast, occurrences, input) && needed(&select.from.iter().collect::<Vec<_>>())
            }
            SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                rows_show_pins(inner, occurrences, analysis, input)
            }
            _ => false,
        },
        Statement::Update(update) => needed(&[&update.table]),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            needed(&from.iter().collect::<Vec<_>>())
        }
        _ => false,
    }
}

/// True when each row of the tree has one of a pinned occurrence.
fn needs_pinned(tree: &TableWithJoins, analysis: &Analysis) -> bool {
    let pinned = |factor: &TableFactor| match factor {
        TableFactor::Table { name, .. } => {
            occurrence_of(name).is_some_and(|n| analysis.pinned.get(n).is_some_and(Option::is_some))
        }
        _ => false,
    };
    // What every row has, up to each join.
    let mut needed = pinned(&tree.relation);
    for join in &tree.joins {
        needed = match side(&join.join_operator) {
            Ok((Side::Inner, _)) => needed || pinned(&join.relation),
            Ok((Side::Left, _)) => needed,
            Ok((Side::Right, _)) => pinned(&join.relation),
            Ok((Side::Full, _)) | Err(_) => false,
        };
    }
    needed
}

/// Chooses a strategy for a query and, when the rows carry their keys, adds the hidden columns.
pub(super) fn choose(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Evidence {
    // An aggregate answers with a row even when the pinned patient has none, so its keys are
    // carried where they can be: an empty lineage is then seen.
    if occurrences.is_empty() {
        return Evidence::Carried;
    }
    let pinned = analysis.all_pinned();
    if pinned && !merges_rows(ast, occurrences, input) {
        return Evidence::Pinned;
    }
    let mut carried = ast.clone();
    match carry::carry_query(&mut carried, occurrences, analysis, input, texts) {
        Ok(()) => {
            *ast = carried;
            Evidence::Carried
        }
        Err(_) if pinned => Evidence::Pinned,
        Err(reason) => Evidence::Bound(vec![reason]),
    }
}

/// True when the top block merges rows, or may.
fn merges_rows(ast: &Statement, occurrences: &[Occurrence<'_>], input: &PlanInput<'_>) -> bool {
    let Statement::Query(query) = ast else { return false };
    let mut query: &Query = query;
    let mut ctes = CteNames::default();
    loop {
        query.with.iter().flat_map(|w| &w.cte_tables).for_each(|c| ctes.push(fold(&c.alias.name)));
        match query.body.as_ref() {
            SetExpr::Query(inner) => query = inner,
            SetExpr::Select(select) => {
                let order_by = query.order_by.as_ref();
                let calls = functions::Calls::of_block(select, order_by, occurrences, ctes, input);
                return calls.may_merge(select);
            }
            _ => return false,
        }
    }
}

struct Reader<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    input: &'a PlanInput<'b>,
    params: local::ParamUses,
    named: HashSet<(Option<usize>, PinValue)>,
    found: Analysis,
}

impl Reader<'_, '_> {
    fn statement(&mut self, statement: &Statement, ctes: &CteNames, outer: &[Level]) {
        match statement {
            Statement::Query(query) => self.query(query, ctes, outer),
            Statement::Insert(insert) => {
                if let Some(source) = &insert.source {
                    self.query(source, ctes, outer);
                }
                self.nested(&insert.on, ctes, outer);
                self.nested(&insert.returning, ctes, outer);
            }
            Statement::Update(update) => {
                let mut trees = vec![&update.table];
                if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
                    &update.from
                {
                    trees.extend(from);
                }
                let levels = self.block(&trees, update.selection.as_ref(), &[], ctes, outer);
                self.nested(&update.assignments, ctes, &levels);
                self.nested(&update.selection, ctes, &levels);
                self.nested(&update.returning, ctes, &levels);
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                let trees: Vec<&TableWithJoins> = from.iter().chain(delete.using.iter().flatten()).collect();
                let levels = self.block(&trees, delete.selection.as_ref(), &[], ctes, outer);
                self.nested(&delete.selection, ctes, &levels);
                self.nested(&delete.returning, ctes, &levels);
            }
            _ => {}
        }
    }

    fn query(&mut self, query: &Query, ctes: &CteNames, outer: &[Level]) {
        self.query_for(query, &[], ctes, outer);
    }

    /// A query that is `sought` in: what it shows matters where it equals what stands beside it.
    fn query_for(&mut self, query: &Query, sought: &[Sought<'_>], ctes: &CteNames, outer: &[Level]) {
        let mut ctes = ctes.clone();
        if let Some(with) = &query.with {
            if with.recursive {
                with.cte_tables.iter().for_each(|c| ctes.push(fold(&c.alias.name)));
            }
            for cte in &with.cte_tables {
                self.query(&cte.query, &ctes, outer);
                if !with.recursive {
                    ctes.push(fold(&cte.alias.name));
                }
            }
        }
        match query.body.as_ref() {
            SetExpr::Select(select) => {
                let levels = self.select(select, sought, &ctes, outer);
                self.nested(&query.order_by, &ctes, &levels);
            }
            body => {
                self.body(body, &ctes, outer);
                self.nested(&query.order_by, &ctes, outer);
            }
        }
        self.nested(&query.limit_clause, &ctes, outer);
        self.nested(&query.fetch, &ctes, outer);
    }

    fn body(&mut self, body: &SetExpr, ctes: &CteNames, outer: &[Level]) {
        match body {
            SetExpr::Select(select) => {
                self.select(select, &[], ctes, outer);
            }
            SetExpr::Query(query) => self.query(query, ctes, outer),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, ctes, outer);
                self.body(right, ctes, outer);
            }
            SetExpr::Values(values) => self.nested(values, ctes, outer),
            SetExpr::Insert(s) | SetExpr::Update(s) | SetExpr::Delete(s) => self.statement(s, ctes, outer),
            SetExpr::Merge(_) | SetExpr::Table(_) => {}
        }
    }

    fn nested<N: Visit>(&mut self, node: &N, ctes: &CteNames, outer: &[Level]) {
        let mut sought_for = HashMap::new();
        any_expr(node, &mut |e| {
            sought_for.extend(sought::by(e).map(|(query, by)| (std::ptr::from_ref(query), by.clone())));
            false
        });
        any_query(node, &mut |q| {
            let by = sought_for.get(&std::ptr::from_ref(q));
            let sought = by.and_then(|by| sought::of(q, by)).unwrap_or_default();
            self.query_for(q, &sought, ctes, outer);
            false
        });
    }

    fn select(
        &mut self,
        select: &Select,
        sought: &[Sought<'_>],
        ctes: &CteNames,
        outer: &[Level],
    ) -> Vec<Level> {
        let trees: Vec<&TableWithJoins> = select.from.iter().collect();
        let levels = self.block(&trees, select.selection.as_ref(), sought, ctes, outer);
        self.nested(&select.distinct, ctes, &levels);
        self.nested(&select.projection, ctes, &levels);
        self.nested(&select.selection, ctes, &levels);
        self.nested(&select.group_by, ctes, &levels);
        self.nested(&select.having, ctes, &levels);
        self.nested(&select.named_window, ctes, &levels);
        levels
    }

    /// Reads one block and the subqueries of its FROM; the levels that its expressions see.
    fn block(
        &mut self,
        trees: &[&TableWithJoins],
        selection: Option<&Expr>,
        sought: &[Sought<'_>],
        ctes: &CteNames,
        outer: &[Level],
    ) -> Vec<Level> {
        let block = Block::new(trees.iter().copied(), selection, self.occurrences, ctes, self.input);
        let known = pins::read(&block, sought, outer, self.occurrences, self.input);
        for (i, item) in block.items.iter().enumerate() {
            if let Some(query) = item.subquery {
                self.named_below(query, known.pinned_at(i), true, ctes);
                self.named_below(query, known.named_at(i), false, ctes);
            }
            let Some(n) = item.occurrence else { continue };
            self.found.shares[n] = known.shares_with(i, &block, self.occurrences, self.input);
            if let Some(values) = known.key_of(i, &block, self.occurrences, self.input) {
                self.name_patients(None, &values, true);
                self.found.pinned[n] = Some(values);
            }
            let asked = known.asked_of(i, &block, self.occurrences, self.input);
            self.name_patients(None, &asked, false);
            for (index, identifier) in self.input.policy.policy.identifiers.iter().enumerate() {
                let o = &self.occurrences[n];
                if identifier.table == o.table.rule.name && o.clear(&identifier.column) {
                    let values = known.get(i, &identifier.column).cloned().unwrap_or_default();
                    self.name_patients(Some(index), &values, true);
                    self.name_patients(Some(index), known.named(i, &identifier.column), false);
                }
            }
            self.found.local[n] =
                local::conjuncts_on(i, n, &block, self.occurrences, &self.params, self.input);
        }
        self.equal_to_pinned(&block, &known);
        let mut levels = outer.to_vec();
        levels.push(known.level(&block));
        for tree in trees {
            self.tree(tree, ctes, outer, &levels);
        }
        levels
    }

    /// Patients that a block names by a column of a subquery. They are sought; nothing follows for the rows below.
    fn named_below<'v>(
        &mut self,
        query: &Query,
        pinned: impl Iterator<Item = (&'v str, &'v Values)>,
        certain: bool,
        ctes: &CteNames,
    ) {
        for (column, values) in pinned {
            let Some((n, column)) = columns::column_below(query, column, self.occurrences, ctes, self.input)
            else {
                continue;
            };
            let o = &self.occurrences[n];
            let policy = &self.input.policy.policy;
            if o.table.rule.own_key() == Some(column.as_str()) {
                self.name_patients(None, &named::keys(values, policy.key_type), certain);
            }
            let same = |identifier: &&crate::policy::Identifier| {
                identifier.table == o.table.rule.name && identifier.column == column && o.clear(&column)
            };
            if let Some(index) = policy.identifiers.iter().position(|i| same(&i)) {
                self.name_patients(Some(index), values, certain);
            }
        }
    }

    /// What equalities say of a column whose pin stands at another table, as a local conjunct: a fenced
    /// table is then read by its key all the same.
    fn equal_to_pinned(&mut self, block: &Block<'_>, known: &pins::Known) {
        let occurrences: Vec<(usize, usize)> =
            block.items.iter().enumerate().filter_map(|(i, item)| Some((i, item.occurrence?))).collect();
        // A parameter must keep the type that its own place gives it: only where that is a local conjunct.
        let own: Vec<String> = occurrences.iter().flat_map(|(_, n)| self.found.local[*n].clone()).collect();
        for (i, n) in occurrences {
            for (column, values) in known.pinned_at(i) {
                let name = crate::catalog::quote_ident(column);
                if self.found.local[n].iter().any(|text| text.contains(&format!(".{name} "))) {
                    continue;
                }
                let text =
                    local::pinned(n, column, values, &own, known, block, self.occurrences, &self.params);
                self.found.local[n].extend(text);
            }
        }
    }

    fn name_patients(&mut self, identifier: Option<usize>, values: &[PinValue], certain: bool) {
        for value in values {
            let pin = Pin { identifier, value: value.clone(), certain };
            if self.named.insert((identifier, value.clone())) {
                self.found.pins.push(pin);
            } else if certain && let Some(known) = self.found.pins.iter_mut().find(|p| p.same_as(&pin)) {
                known.certain = true;
            }
        }
    }

    fn tree(&mut self, tree: &TableWithJoins, ctes: &CteNames, outer: &[Level], inner: &[Level]) {
        self.factor(&tree.relation, ctes, outer, inner);
        for join in &tree.joins {
            self.factor(&join.relation, ctes, outer, inner);
            self.nested(&join.join_operator, ctes, inner);
        }
    }

    fn factor(&mut self, factor: &TableFactor, ctes: &CteNames, outer: &[Level], inner: &[Level]) {
        match factor {
            TableFactor::Derived { lateral: false, subquery, .. } => self.query(subquery, ctes, outer),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.tree(table_with_joins, ctes, outer, inner);
            }
            other => self.nested(other, ctes, inner),
        }
    }
}
