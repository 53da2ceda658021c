//! Where in a join tree each guard must stand, and what a FROM clause makes visible.
//!
//! From the table up its join tree: at the first join where it is on the nullable side, that
//! join's ON; if there is none, WHERE. Under a FULL JOIN no place is right. See the design's
//! "Row filter (hide)" for the measurements behind the rule.

use pg_query::protobuf::JoinType;

use super::block::{Env, Place, is_fence};
use super::cells::{Cells, equal_columns};
use super::expected::{conjuncts, expression};
use super::overlap::Column;
use super::rows::renamed;
use super::total::comparable;
use super::types::{Block, Columns, Item, Ty, columns_of};
use super::unmasked::Bare;
use super::{Checker, Demand, Outcome, fail};
use crate::catalog::Oid;
use crate::policy::asked_first;
use crate::sql::resolve::{Resolution, resolve_name};
use crate::sql::tree::{Node, Tree};

/// A filtered occurrence whose guard has not been found yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) oid: Oid,
    pub(super) alias: String,
    /// Its rows are locked, and its guard has to hold after a wait, too.
    pub(super) locked: bool,
}

/// Which items of a FROM clause a locking clause locks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Locked {
    #[default]
    Nothing,
    All,
    /// Those behind OF.
    These(Vec<String>),
}

impl Locked {
    /// By the locking clauses of a block; `around`: the block is a subquery that a clause around it locks.
    pub(super) fn by(select: &Node, around: bool) -> Self {
        let mut clauses = select.nodes("locking_clause").peekable();
        if around || clauses.peek().is_none() {
            return if around { Locked::All } else { Locked::Nothing };
        }
        let mut names = Vec::new();
        for clause in clauses {
            if clause.list("locked_rels").is_empty() {
                return Locked::All;
            }
            names.extend(clause.nodes("locked_rels").map(|r| r.str("relname").to_owned()));
        }
        Locked::These(names)
    }

    pub(super) fn covers(&self, alias: &str) -> bool {
        match self {
            Locked::Nothing => false,
            Locked::All => true,
            Locked::These(names) => names.iter().any(|n| n == alias),
        }
    }
}

/// A FROM clause as it is walked.
pub(super) struct From<'n> {
    pub(super) items: Vec<Item>,
    /// A filtered occurrence inside a subquery or WITH query can be reached without a fence in between.
    pub(super) exposed: bool,
    /// Rows are locked where they stand: a table with masks may be named when none of those is read.
    pub(super) locks: bool,
    /// Whose rows those are.
    pub(super) locked: Locked,
    /// Such tables.
    pub(super) unread: Vec<Bare>,
    /// The same for what LATERAL items see, known before the walk.
    pub(super) lateral_exposed: bool,
    /// ON conjuncts that are no guards, and function arguments: evaluated beside the filter.
    pub(super) conditions: Vec<&'n Node>,
    /// USING or NATURAL compares columns whose comparison could fail.
    pub(super) unsafe_using: bool,
    /// What `min_cell` has to know of it.
    pub(super) cells: Cells,
    /// Base-table occurrences with a filter, under any alias, for the alias-capture rule.
    pub(super) filtered: Vec<String>,
    /// What can open or close the gate for the others.
    parts: Vec<Part>,
}

/// One item as its neighbours see it.
#[derive(Debug, Clone)]
struct Part {
    /// Rows that its guard has not filtered yet can be met in it.
    exposed: bool,
    /// Something in it could fail on a value.
    can_fail: bool,
    /// The WITH query that it is, evaluated apart from this block.
    apart: Option<String>,
}

impl<'n> From<'n> {
    pub(super) fn new(lateral_exposed: bool) -> Self {
        Self {
            items: Vec::new(),
            exposed: false,
            locks: false,
            locked: Locked::Nothing,
            unread: Vec::new(),
            lateral_exposed,
            conditions: Vec::new(),
            unsafe_using: false,
            cells: Cells::default(),
            filtered: Vec::new(),
            parts: Vec::new(),
        }
    }

    fn part(&mut self, exposed: bool, can_fail: bool) {
        self.exposed |= exposed;
        self.parts.push(Part { exposed, can_fail, apart: None });
    }
}

/// The first table of a join tree: a masked form begins with the table that it masks.
fn leftmost(item: &Node) -> &Node {
    match item.node("larg").filter(|_| item.kind == "JoinExpr") {
        Some(left) => leftmost(left),
        None => item,
    }
}

fn alias_of(node: &Node) -> Option<&str> {
    node.node("alias").map(|a| a.str("aliasname"))
}

/// The columns that USING or NATURAL merges, in pairs.
fn merged(join: &Node, left: &[Item], right: &[Item]) -> Vec<(Column, Column)> {
    let using = join.names("using_clause");
    let of = |items: &[Item]| -> Vec<Column> {
        let columns = |item: &Item| {
            let names = item.columns.iter().flatten().map(|(name, _)| name.clone());
            names.map(|name| (item.alias.clone(), name)).collect::<Vec<_>>()
        };
        items.iter().flat_map(columns).collect()
    };
    let merges = |name: &String| using.contains(&name.as_str()) || join.flag("is_natural");
    let rights = of(right);
    let pairs = of(left).into_iter().filter(|(_, name)| merges(name)).flat_map(|left| {
        let same = rights.iter().filter(|right| right.1 == left.1).cloned().collect::<Vec<_>>();
        same.into_iter().map(move |right| (left.clone(), right))
    });
    pairs.collect()
}

/// True for an alias with a column list.
fn renames(node: &Node) -> bool {
    node.node("alias").is_some_and(|a| !a.list("colnames").is_empty())
}

impl Checker<'_> {
    /// Removes from `conditions` the guards of `pending`; fails when one is missing. Guards of
    /// other visible occurrences that stand here as well do no harm and are exempt too.
    pub(super) fn claim<'n>(
        &mut self,
        conditions: Vec<&'n Node>,
        pending: &[Pending],
        place: &str,
    ) -> Outcome<Vec<&'n Node>> {
        let mut rest = conditions.clone();
        for p in pending {
            // Two tables' guards can have a conjunct in common, which then stands here for both.
            for part in self.guard(p.oid, &p.alias)? {
                if !conditions.iter().any(|n| **n == part) {
                    return fail(format!("no guard for \"{}\" in its {place}", p.alias));
                }
                for node in rest.iter().filter(|n| ***n == part) {
                    self.exempt(node);
                }
                rest.retain(|n| **n != part);
            }
            rest = self.claim_steady(rest, p, place)?;
        }
        Ok(rest)
    }

    /// Removes what keeps the guard of a locked row true after a wait; fails when it is missing.
    fn claim_steady<'n>(
        &mut self,
        conditions: Vec<&'n Node>,
        p: &Pending,
        place: &str,
    ) -> Outcome<Vec<&'n Node>> {
        if !p.locked {
            return Ok(conditions);
        }
        let forms = self.steady_forms(p)?;
        let (found, rest): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|n| forms.contains(n));
        if found.is_empty() && self.must_be_steady(p)? {
            return fail(format!("the guard for \"{}\" in its {place} does not outlast a wait", p.alias));
        }
        found.into_iter().for_each(|n| self.exempt(n));
        Ok(rest)
    }

    /// Takes the questions for WITH queries in FROM out of `conditions`: what is asked for to its end before
    /// the join begins cannot fail for a row of another item.
    pub(super) fn asked_first<'n>(
        &mut self,
        conditions: Vec<&'n Node>,
        from: &mut From<'_>,
    ) -> Outcome<Vec<&'n Node>> {
        let mut rest = conditions.clone();
        for part in &mut from.parts {
            let Some(name) = &part.apart else { continue };
            let expected = expression(&asked_first(name))?;
            for asked in conditions.iter().filter(|c| ***c == expected) {
                self.exempt(asked);
                part.can_fail = false;
            }
            rest.retain(|c| **c != expected);
        }
        Ok(rest)
    }

    /// A join asks its other side for rows only when the first has one: whether what is in an item is
    /// evaluated at all can tell of hidden rows of another one, or of a semi-joined subquery (`beside`).
    /// A fence around the item does not help against that, only one around the rows that are asked first.
    pub(super) fn gates(&mut self, from: &From<'_>, beside: bool) {
        let asked_first = |i: usize| from.parts.iter().enumerate().any(|(j, p)| j != i && p.exposed);
        if from.parts.iter().enumerate().any(|(i, p)| p.can_fail && (beside || asked_first(i))) {
            self.needs_fence("a subquery beside it that could fail");
        }
    }

    pub(super) fn item_of<'n>(
        &mut self,
        node: &'n Node,
        env: &Env<'_>,
        from: &mut From<'n>,
    ) -> Outcome<Vec<Pending>> {
        match node.kind {
            "RangeVar" => self.range_var(node, env, from),
            "RangeSubselect" => self.range_subselect(node, env, from),
            "JoinExpr" => self.join(node, env, from),
            "RangeTableSample" => {
                let Some(relation) = node.node("relation") else {
                    return fail("TABLESAMPLE without a table");
                };
                from.cells.other = true;
                from.conditions.extend(node.nodes("args"));
                from.conditions.extend(node.node("repeatable"));
                let pending = self.item_of(relation, env, from)?;
                if node.has("repeatable") && !pending.is_empty() {
                    // The same rows are taken of the same places: where hidden ones lie, as ctid tells it.
                    return fail("TABLESAMPLE ... REPEATABLE of a filtered table");
                }
                if node.names("method") != ["bernoulli"] && !pending.is_empty() {
                    // Rows of one page are drawn together: it tells what lies between.
                    return fail("TABLESAMPLE SYSTEM of a filtered table");
                }
                Ok(pending)
            }
            "RangeFunction" => {
                from.cells.other = true;
                for function in node.nodes("functions") {
                    from.conditions.extend(
                        function.nodes("items").filter(|n| n.kind != "List" && !self.constant_rows(n)),
                    );
                }
                let alias = self.function_alias(node);
                let columns = self.function_columns(node, &alias);
                from.items.push(Item { alias, oid: None, columns });
                Ok(Vec::new())
            }
            "RangeTableFunc" | "JsonTable" => {
                from.cells.other = true;
                from.conditions.extend(node.children());
                let own = if node.kind == "JsonTable" { "json_table" } else { "xmltable" };
                let alias = alias_of(node).unwrap_or(own).to_owned();
                from.items.push(Item { alias, oid: None, columns: None });
                Ok(Vec::new())
            }
            other => fail(format!("{other} in FROM")),
        }
    }

    fn range_var(&mut self, node: &Node, env: &Env<'_>, from: &mut From<'_>) -> Outcome<Vec<Pending>> {
        let name = node.str("relname");
        let alias = alias_of(node).unwrap_or(name).to_owned();
        if !node.has("schemaname")
            && let Some(cte) = env.ctes.iter().rev().find(|c| c.name == name)
        {
            from.cells.other = true;
            from.part(cte.exposed, cte.can_fail);
            if let Some(part) = from.parts.last_mut().filter(|_| cte.apart) {
                part.apart = Some(name.to_owned());
            }
            self.unsafe_met += usize::from(cte.can_fail);
            from.items.push(Item { alias, oid: None, columns: renamed(cte.columns.clone(), node) });
            return Ok(Vec::new());
        }
        from.cells.tables += 1;
        let Some(demand) = self.demand(node)? else {
            from.cells.other |= !self.is_table(node);
            let oid = self.relation_named(node).filter(|_| !renames(node));
            from.cells.plain.push((oid, alias.clone()));
            let columns = renamed(self.plain_columns(node), node);
            from.items.push(Item { alias, oid: None, columns });
            return Ok(Vec::new());
        };
        if !demand.masks.is_empty() {
            if !from.locks || renames(node) || demand.masks.outside.is_some() {
                return fail(format!("\"{alias}\" is read without its masks"));
            }
            from.unread.push(Bare::of(Some(&demand), &alias, &self.cx));
        }
        let context = self.cx.context;
        let columns = context.catalog.relation(demand.oid).map(|r| columns_of(r, context.catalog));
        from.items.push(Item {
            alias: alias.clone(),
            oid: Some(demand.oid),
            columns: renamed(columns, node),
        });
        self.guarded += 1;
        from.cells.keyed.push((demand.oid, alias.clone()));
        // The policy's names would mean other columns.
        from.cells.other |= renames(node);
        if !demand.filter {
            return Ok(Vec::new());
        }
        // A column list could give the key's name to another column.
        if node.node("alias").is_some_and(|a| !a.list("colnames").is_empty()) {
            return fail(format!("\"{alias}\" renames the columns that its guard reads"));
        }
        from.parts.push(Part { exposed: true, can_fail: false, apart: None });
        from.filtered.push(alias.clone());
        let locked = from.locked.covers(&alias);
        Ok(vec![Pending { oid: demand.oid, alias, locked }])
    }

    /// Types of a subquery's columns, found without judging it; empty when they are not known.
    pub(super) fn inner_types(&self, select: &Node, block: &Block<'_>) -> Vec<Ty> {
        if select.has("with_clause") || select.has("larg") {
            return Vec::new();
        }
        let items = self.items_inside(select, block);
        let inner = Block { items: &items, ctes: block.ctes, parent: Some(block) };
        self.output_columns(select, &inner).unwrap_or_default().into_iter().map(|(_, ty)| ty).collect()
    }

    /// The items in FROM of a subquery, as far as they are known without judging it.
    pub(super) fn items_inside(&self, select: &Node, block: &Block<'_>) -> Vec<Item> {
        let mut items = Vec::new();
        for node in select.nodes("from_clause") {
            self.inner_items(node, block, &mut items);
        }
        items
    }

    fn inner_items(&self, node: &Node, block: &Block<'_>, items: &mut Vec<Item>) {
        match node.kind {
            "RangeVar" => {
                let name = node.str("relname");
                let cte =
                    block.ctes.iter().rev().find(|c| c.name == name).filter(|_| !node.has("schemaname"));
                let columns = match cte {
                    Some(cte) => cte.columns.clone(),
                    None => self.plain_columns(node),
                };
                let alias = alias_of(node).unwrap_or(name).to_owned();
                items.push(Item { alias, oid: None, columns: renamed(columns, node) });
            }
            "JoinExpr" if !node.has("alias") => {
                if let Some(names) = node.node("join_using_alias") {
                    let alias = names.str("aliasname").to_owned();
                    items.push(Item { alias, oid: None, columns: None });
                }
                for side in ["larg", "rarg"] {
                    if let Some(side) = node.node(side) {
                        self.inner_items(side, block, items);
                    }
                }
            }
            _ => items.push(Item {
                alias: alias_of(node).unwrap_or_default().to_owned(),
                oid: None,
                columns: None,
            }),
        }
    }

    /// The relation of that name in the catalog.
    fn relation_named(&self, node: &Node) -> Option<Oid> {
        let context = self.cx.context;
        let schema = Some(node.str("schemaname")).filter(|s| !s.is_empty());
        match resolve_name(context.catalog, context.namespace, schema, node.str("relname")).as_slice() {
            [Resolution::User(oid)] => Some(*oid),
            _ => None,
        }
    }

    /// Columns of a relation by its name in the catalog.
    fn plain_columns(&self, node: &Node) -> Columns {
        let catalog = self.cx.context.catalog;
        catalog.relation(self.relation_named(node)?).map(|r| columns_of(r, catalog))
    }

    fn range_subselect<'n>(
        &mut self,
        node: &'n Node,
        env: &Env<'_>,
        from: &mut From<'n>,
    ) -> Outcome<Vec<Pending>> {
        let Some(query) = node.node("subquery") else { return fail("a subquery without a query") };
        let alias = alias_of(node).unwrap_or_default().to_owned();
        if let Some(item) = self.masked_table(query, env, &alias, from)? {
            let oid = item.oid.filter(|_| !renames(node));
            from.cells.tables += 1;
            from.cells.keyless |= oid.is_none();
            from.cells.keyed.extend(oid.map(|oid| (oid, alias.clone())));
            from.items.push(Item { columns: renamed(item.columns, node), oid, ..item });
            return Ok(Vec::new());
        }
        from.cells.other = true;
        let stands_for = self.stands_for(query, env)?.filter(|_| !renames(node));
        let before = self.unsafe_met;
        let locked = from.locked.covers(&alias);
        let facts = if node.flag("lateral") {
            let items = from.items.clone();
            let block = Block { items: &items, ctes: &env.ctes, parent: env.block };
            let exposed = env.exposed || from.lateral_exposed;
            self.select(
                query,
                &Env { ctes: env.ctes.clone(), block: Some(&block), exposed, defines: None, locked },
                Place::Derived,
            )?
        } else {
            self.select(query, &Env { locked, ..env.clone() }, Place::Derived)?
        };
        from.part(facts.exposed, self.unsafe_met > before);
        from.items.push(Item { alias, oid: stands_for, columns: renamed(facts.columns, node) });
        Ok(Vec::new())
    }

    /// The unmasked protected relation that `query` selects rows of, and nothing but rows of, the
    /// column by which they belong to their patient among the output under its own name: the
    /// relation's witness may then be computed over the subquery. (That the rows are guarded is
    /// found where the query itself is walked.)
    fn stands_for(&self, query: &Node, env: &Env<'_>) -> Outcome<Option<Oid>> {
        const PARTS: [&str; 5] =
            ["target_list", "from_clause", "where_clause", "limit_offset", "limit_option"];
        let [Tree::Node(range)] = query.list("from_clause") else { return Ok(None) };
        let plain = query
            .fields
            .iter()
            .all(|(name, value)| PARTS.contains(name) || (matches!(*name, "op") && *value == Tree::Int(1)));
        let cte = !range.has("schemaname") && env.ctes.iter().any(|c| c.name == range.str("relname"));
        if range.kind != "RangeVar" || cte || !plain || renames(range) {
            return Ok(None);
        }
        let Some(demand) = self.demand(range)?.filter(|d| d.masks.is_empty()) else { return Ok(None) };
        let inner = alias_of(range).unwrap_or(range.str("relname"));
        Ok(self.shows_owner(query, &demand, inner)?.then_some(demand.oid))
    }

    /// True when the select list shows the columns that the witness starts from, unmasked, exactly
    /// once and under their own names.
    fn shows_owner(&self, query: &Node, demand: &Demand<'_>, inner: &str) -> Outcome<bool> {
        let owners = self.table(demand.oid)?.rule.owner_columns();
        Ok(owners.into_iter().all(|owner| shows_column(query, owner, inner)))
    }

    /// The item, when `query` is exactly the masked form of a protected relation.
    fn masked_table(
        &mut self,
        query: &Node,
        env: &Env<'_>,
        alias: &str,
        from: &mut From<'_>,
    ) -> Outcome<Option<Item>> {
        let [Tree::Node(first)] = query.list("from_clause") else { return Ok(None) };
        let range = leftmost(first);
        // A masked form has no WITH; in any other subquery the name may be one of its own WITH queries.
        if query.has("with_clause") {
            return Ok(None);
        }
        let cte = !range.has("schemaname") && env.ctes.iter().any(|c| c.name == range.str("relname"));
        if range.kind != "RangeVar" || cte {
            return Ok(None);
        }
        let Some(demand) = self.demand(range)?.filter(|d| !d.masks.is_empty()) else { return Ok(None) };
        let inner = alias_of(range).unwrap_or_default();
        if !self.is_masked_table(query, &demand, inner, from.locked.covers(alias))? {
            if query.has("locking_clause") {
                // Judged as a block that locks.
                return Ok(None);
            }
            return fail(format!("\"{}\" is not masked as the policy demands", range.str("relname")));
        }
        self.exempt(query);
        self.masked = true;
        from.part(demand.hides && !is_fence(query), false);
        let context = self.cx.context;
        let columns = context.catalog.relation(demand.oid).map(|r| columns_of(r, context.catalog));
        let oid = self.shows_owner(query, &demand, inner)?.then_some(demand.oid);
        Ok(Some(Item { alias: alias.to_owned(), oid, columns }))
    }

    /// True when the columns that USING or NATURAL compares do so without an error. An operator of the database's own
    /// behind them is noted: the planner tries it on statistics, and there is no CASE for it to stand in.
    fn compares_safely(&mut self, join: &Node, left: &[Item], right: &[Item]) -> bool {
        let using = join.names("using_clause");
        if using.is_empty() && !join.flag("is_natural") {
            return true;
        }
        let known = |items: &[Item]| -> Option<Vec<(String, Ty)>> {
            items.iter().map(|i| i.columns.clone()).collect::<Option<Vec<_>>>().map(|c| c.concat())
        };
        let (Some(left), Some(right)) = (known(left), known(right)) else {
            self.tried_by_using(Ty::Unknown, Ty::Unknown);
            return false;
        };
        let mut safely = true;
        for (name, a) in left.iter().filter(|(name, _)| using.is_empty() || using.contains(&name.as_str())) {
            for (_, b) in right.iter().filter(|(n, _)| n == name) {
                safely &= comparable(*a, *b) && !self.own_comparison(*a, *b);
                self.tried_by_using(*a, *b);
            }
        }
        safely
    }

    fn join<'n>(&mut self, node: &'n Node, env: &Env<'_>, from: &mut From<'n>) -> Outcome<Vec<Pending>> {
        let (Some(left), Some(right)) = (node.node("larg"), node.node("rarg")) else {
            return fail("a join without two sides");
        };
        let (first, unread) = (from.filtered.len(), from.unread.len());
        let start = from.items.len();
        let (before, plain) = (from.cells.protected(), from.cells.plain.len());
        let mut pending = self.item_of(left, env, from)?;
        let middle = from.items.len();
        let (between, plain_left) = (from.cells.protected(), from.cells.plain.len());
        let from_right = self.item_of(right, env, from)?;
        let (of_left, of_right) = (between > before, from.cells.protected() > between);
        let both_protected = of_left && of_right;
        let (lefts, rights) = from.items.split_at(middle);
        let lefts = lefts.get(start..).unwrap_or_default();
        from.cells.using.extend(merged(node, lefts, rights));
        from.unsafe_using |= !self.compares_safely(node, lefts, rights);
        if node.has("alias") && (from.filtered.len() > first || from.unread.len() > unread) {
            // `(a JOIN b ON ..) AS j` hides a and b: the guard's `a.key` would be an outer a.
            return fail("a join alias hides the alias of a guarded relation");
        }
        let on = conjuncts(node.field("quals"));
        let kind = i32::try_from(node.int("jointype")).ok().and_then(|k| JoinType::try_from(k).ok());
        let rest = match kind {
            Some(JoinType::JoinInner) => {
                pending.extend(from_right);
                self.exempt_redundant(on, &pending)?
            }
            Some(JoinType::JoinLeft) => self.claim(on, &from_right, "ON (nullable side of a LEFT JOIN)")?,
            Some(JoinType::JoinRight) => {
                let rest = self.claim(on, &pending, "ON (nullable side of a RIGHT JOIN)")?;
                pending = from_right;
                rest
            }
            Some(JoinType::JoinFull) => {
                if let Some(p) = pending.first().or(from_right.first()) {
                    return fail(format!("\"{}\" stands under a FULL JOIN without a subquery", p.alias));
                }
                on
            }
            Some(
                JoinType::Undefined
                | JoinType::JoinSemi
                | JoinType::JoinAnti
                | JoinType::JoinRightSemi
                | JoinType::JoinRightAnti
                | JoinType::JoinUniqueOuter
                | JoinType::JoinUniqueInner,
            )
            | None => return fail("a join of unknown type"),
        };
        if node.has("alias") {
            // From here on the columns have the names of this alias, and none of the items inside can be named.
            from.items.iter_mut().skip(start).for_each(|item| item.columns = None);
        }
        for names in node.node("alias").into_iter().chain(node.node("join_using_alias")) {
            from.items.push(Item { alias: names.str("aliasname").to_owned(), oid: None, columns: None });
        }
        let aliases = |range: std::ops::Range<usize>| {
            from.cells.plain.get(range).unwrap_or_default().iter().map(|(_, alias)| alias.clone()).collect()
        };
        let keeps = |side| kind == Some(side) || kind == Some(JoinType::JoinFull);
        let mut kept: Vec<String> = Vec::new();
        if of_right && keeps(JoinType::JoinLeft) {
            kept = aliases(plain..plain_left);
        }
        if of_left && keeps(JoinType::JoinRight) {
            kept.append(&mut aliases(plain_left..from.cells.plain.len()));
        }
        from.cells.kept.append(&mut kept);
        if kind != Some(JoinType::JoinInner) {
            from.cells.outer |= both_protected || !rest.iter().all(|c| equal_columns(c));
        }
        from.conditions.extend(rest);
        Ok(pending)
    }

    /// A guard in an inner join's ON does no harm, but does not count either.
    fn exempt_redundant<'n>(&mut self, on: Vec<&'n Node>, pending: &[Pending]) -> Outcome<Vec<&'n Node>> {
        let mut rest = on;
        for p in pending {
            for part in self.guard(p.oid, &p.alias)? {
                for node in rest.iter().filter(|n| ***n == part) {
                    self.exempt(node);
                }
                rest.retain(|n| **n != part);
            }
        }
        Ok(rest)
    }
}

/// True when the select list shows the column of `inner` exactly once, under its own name.
fn shows_column(query: &Node, column: &str, inner: &str) -> bool {
    let mut named = query.nodes("target_list").filter(|t| t.str("name") == column);
    let star = |t: &Node| t.node("val").is_none_or(|v| v.kind == "ColumnRef" && t.str("name").is_empty());
    match (named.next().and_then(|t| t.node("val")), named.next()) {
        (Some(value), None) => {
            value.kind == "ColumnRef"
                && value.list("fields").len() == 2
                && value.names("fields") == [inner, column]
                && !query.nodes("target_list").any(star)
        }
        _ => false,
    }
}
