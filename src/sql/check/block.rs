//! Query blocks: CTEs, FROM, conditions, lists. Every expression is walked exactly once, with the
//! knowledge whether it can be evaluated on rows that a guard has not filtered yet.

use pg_query::protobuf::{CteMaterialize, SetOperation};

use super::expected::conjuncts;
use super::placement::{From, Locked, Pending};
use super::safe::{has_aggregate, is_number};
use super::total::unify;
use super::types::{Block, Columns, Ty, of_type_name, under_names};
use super::{Checker, Outcome, fail};
use crate::catalog::Oid;
use crate::sql::column_names::{column_name, is_star};
use crate::sql::parse::is_reserved;
use crate::sql::tree::Node;

/// A CTE in scope.
#[derive(Debug, Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) exposed: bool,
    /// Something in it could fail on a value.
    pub(super) can_fail: bool,
    /// It is evaluated by itself, never as a part of what reads it.
    pub(super) apart: bool,
    pub(super) columns: Columns,
    /// What it inserts, where every row of it was checked.
    pub(super) inserted: Option<Inserted>,
}

/// An INSERT into a filtered relation in WITH.
#[derive(Debug, Clone)]
pub(super) struct Inserted {
    pub(super) oid: Oid,
    /// Columns of ours that it returns, with those of the relation that they are.
    pub(super) columns: Vec<(String, String)>,
}

/// What is around a query block.
#[derive(Debug, Clone, Default)]
pub(super) struct Env<'p> {
    pub(super) ctes: Vec<Cte>,
    /// FROM items of the block around, for correlated names.
    pub(super) block: Option<&'p Block<'p>>,
    /// True when this block is evaluated per row of something not yet filtered.
    pub(super) exposed: bool,
    /// The recursive CTE (index into `ctes`) that the block is the query of: the first arm of its
    /// set operation gives the columns that the second arm reads.
    pub(super) defines: Option<usize>,
    /// The block is a subquery in FROM whose rows a locking clause around it locks.
    pub(super) locked: bool,
}

/// Where a query block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The statement itself, or a block whose list is evaluated after everything around.
    Top,
    /// A subquery in FROM or a CTE, which the planner may merge with the block around.
    Derived,
    /// A sublink in a condition.
    Sublink,
}

/// What a block means to the block around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Conditions of the block around may be evaluated before a guard in here.
    pub(super) exposed: bool,
    /// Output columns.
    pub(super) columns: Columns,
}

/// True when the planner neither merges this block into the one around nor pushes conditions
/// into it: LIMIT or OFFSET (`is_simple_subquery`, `subquery_is_pushdown_safe`). GROUP BY,
/// DISTINCT, set operations and window functions are no fences: conditions pass them.
pub(super) fn is_fence(select: &Node) -> bool {
    ["limit_offset", "limit_count"]
        .iter()
        .any(|f| select.node(f).is_some_and(|n| !(n.kind == "AConst" && n.flag("isnull"))))
}

impl Checker<'_> {
    /// A whole statement, or one inside a CTE.
    pub(super) fn statement(&mut self, root: &Node, env: &Env<'_>, place: Place) -> Outcome<Facts> {
        match root.kind {
            "SelectStmt" => self.select(root, env, place),
            "InsertStmt" => self.insert(root, env),
            "UpdateStmt" | "DeleteStmt" => self.change(root, env),
            other => fail(format!("{other} is not of a known kind")),
        }
    }

    /// The environment with the statement's own CTEs.
    pub(super) fn with<'p>(&mut self, statement: &Node, env: &Env<'p>) -> Outcome<Env<'p>> {
        let mut env = env.clone();
        let Some(with) = statement.node("with_clause") else { return Ok(env) };
        let base = env.ctes.len();
        if with.flag("recursive") {
            for cte in with.nodes("ctes") {
                let exposed = cte.node("ctequery").is_some_and(|q| self.mentions_filtered(q, &env));
                let name = cte.str("ctename").to_owned();
                env.ctes.push(Cte {
                    name,
                    exposed,
                    can_fail: true,
                    apart: false,
                    columns: None,
                    inserted: None,
                });
            }
        }
        for (i, cte) in with.nodes("ctes").enumerate() {
            let name = cte.str("ctename").to_owned();
            let Some(query) = cte.node("ctequery") else { return fail("a CTE without a query") };
            let recursive = with.flag("recursive") && mentions_name(query, &name);
            let materialized = cte.int("ctematerialized") == i64::from(CteMaterialize::Always as i32);
            // A CTE that refers to itself is never merged; what it reads of itself is filtered.
            let fence = recursive || materialized;
            if recursive && let Some(own) = env.ctes.get_mut(base + i) {
                own.exposed = false;
                own.can_fail = false;
            }
            let place = if fence { Place::Top } else { Place::Derived };
            env.defines = (recursive && cte.list("aliascolnames").is_empty()).then_some(base + i);
            let before = self.unsafe_met;
            let facts = self.statement(query, &env, place)?;
            env.defines = None;
            let columns = under_names(facts.columns, &cte.names("aliascolnames"));
            let can_fail = self.unsafe_met > before;
            let apart = fence || query.kind != "SelectStmt";
            let inserted = self.inserted(query, &cte.names("aliascolnames"))?;
            let done = Cte { name, exposed: facts.exposed && !fence, can_fail, apart, columns, inserted };
            match env.ctes.get_mut(base + i) {
                Some(slot) => *slot = done,
                None => env.ctes.push(done),
            }
        }
        Ok(env)
    }

    pub(super) fn select(&mut self, select: &Node, env: &Env<'_>, place: Place) -> Outcome<Facts> {
        let (defines, locked) = (env.defines, env.locked);
        let env = &self.with(select, &Env { defines: None, locked: false, ..env.clone() })?;
        let env = &Env { defines: None, ..env.clone() };
        let fenced = is_fence(select);
        if select.has("into_clause") {
            return fail("SELECT INTO");
        }
        let op = select.int("op");
        if op != 0 && op != i64::from(SetOperation::SetopNone as i32) {
            return self.set_operation(select, &Env { defines, ..env.clone() }, place, fenced);
        }
        let mut from = From::new(false);
        from.locks = select.has("locking_clause");
        from.locked = Locked::by(select, locked);
        from.lateral_exposed = select.nodes("from_clause").any(|f| self.mentions_filtered(f, env));
        let mut pending = Vec::new();
        for item in select.nodes("from_clause") {
            pending.extend(self.item_of(item, env, &mut from)?);
        }
        self.unsafe_met += usize::from(from.unsafe_using);
        let mut conditions = self.claim(conjuncts(select.field("where_clause")), &pending, "WHERE")?;
        conditions.append(&mut from.conditions);
        // Asked for every table of the block, or it counts for none.
        let rows = if pending.len() == from.filtered.len() { pending.as_slice() } else { &[] };
        let plain = conditions.clone();
        let conditions = self.judged(conditions, rows, env, &mut from)?;
        let semi_joined = self.semi_joins(&conditions, env);
        self.gates(&from, env.exposed || semi_joined);
        let block = Block { items: &from.items, ctes: &env.ctes, parent: env.block };
        let least = self.cx.context.role.masking.min_cell;
        let least = least.filter(|_| !from.cells.keyed.is_empty() || from.cells.keyless);
        if let Some(chooser) = self.choosers.remove(&std::ptr::from_ref(select)) {
            from.cells.other |= from.unsafe_using;
            self.cell_choice(select, &block, &from.cells, &plain, &chooser)?;
        } else if let Some(least) = least {
            from.cells.other |= from.unsafe_using;
            self.cell_block(select, &block, &from.cells, &plain, least)?;
        }
        let others = env.exposed || from.exposed;
        let own = from.exposed || !from.filtered.is_empty();
        let exposed = env.exposed || own;
        if exposed && from.unsafe_using {
            self.needs_fence("USING or NATURAL over columns that do not compare safely");
        }
        for (condition, behind) in conditions {
            let early = if behind { others } else { exposed };
            self.expression(condition, &block, env, early, "a condition")?;
            if !behind {
                self.estimates(condition, &block);
            }
        }
        // HAVING without an aggregate is moved to WHERE (subquery_planner).
        for condition in conjuncts(select.field("having_clause")) {
            let late = has_aggregate(condition, &block) && !(env.exposed && place == Place::Sublink);
            self.expression(condition, &block, env, exposed && !late, "HAVING without an aggregate")?;
            self.estimates(condition, &block);
        }
        let list_exposed = exposed
            && match place {
                Place::Top => false,
                Place::Derived => !fenced,
                Place::Sublink => true,
            };
        if place != Place::Top || env.block.is_some() {
            // It may become a condition of the block around.
            let values = select.nodes("values_lists").flat_map(|row| row.nodes("items"));
            select.nodes("target_list").chain(values).for_each(|value| self.estimates(value, &block));
        }
        self.list(select, &block, env, list_exposed, exposed)?;
        for bare in &from.unread {
            self.reads_unmasked(select, bare)?;
        }
        let columns = self.output_columns(select, &block);
        // Conditions on groups are pushed into HAVING, beside the one that withholds the small ones.
        Ok(Facts { exposed: (own || least.is_some()) && !fenced, columns })
    }

    /// The conditions of a block, each with whether it stands behind a look at the patients of all `rows`.
    pub(super) fn judged<'n>(
        &mut self,
        conditions: Vec<&'n Node>,
        rows: &[Pending],
        env: &Env<'_>,
        from: &mut From<'_>,
    ) -> Outcome<Vec<(&'n Node, bool)>> {
        let mut judged = Vec::with_capacity(conditions.len());
        for condition in conditions {
            let inside = self.behind_visible(condition, rows)?;
            judged.push((inside.unwrap_or(condition), inside.is_some()));
        }
        from.exposed |= self.semi_joins(&judged, env);
        Ok(judged)
    }

    /// True when a sublink in the conditions reads a filtered relation: it may become a semi-join, and the
    /// conditions and items of the block then stand beside its guard.
    pub(super) fn semi_joins(&self, conditions: &[(&Node, bool)], env: &Env<'_>) -> bool {
        conditions.iter().any(|(c, _)| !self.is_exempt(c) && self.mentions_filtered(c, env))
    }

    /// Select list, GROUP BY, ORDER BY, DISTINCT, windows, LIMIT, VALUES.
    fn list(
        &mut self,
        select: &Node,
        block: &Block<'_>,
        env: &Env<'_>,
        list_exposed: bool,
        exposed: bool,
    ) -> Outcome {
        let per_row = env.exposed && list_exposed;
        // A parallel plan may sort by an expression below a join (generate_useful_gather_paths).
        let mut keys: Vec<&Node> = Vec::new();
        for field in ["group_clause", "sort_clause", "distinct_clause", "window_clause"] {
            keys.extend(select.nodes(field));
        }
        let distinct = select.has("distinct_clause");
        for (i, target) in select.nodes("target_list").enumerate() {
            let Some(value) = target.node("val") else { return fail("a select list item without a value") };
            if is_reserved(target.str("name")) && self.is_masked_bound(value)? {
                self.exempt(value);
                self.masked = true;
                continue;
            }
            let key = distinct || keys.iter().any(|k| names_target(k, i + 1, target.str("name")));
            let early = list_exposed || (exposed && key);
            let early = early && (per_row || !has_aggregate(value, block));
            self.expression(value, block, env, early, "a select list item")?;
            if exposed {
                self.window_keys(value, block);
            }
        }
        for key in keys {
            let early = exposed && (per_row || !has_aggregate(key, block));
            self.key(key, block, env, early)?;
        }
        for values in select.nodes("values_lists") {
            for value in values.nodes("items") {
                self.expression(value, block, env, list_exposed, "VALUES")?;
            }
        }
        for field in ["limit_count", "limit_offset"] {
            if let Some(value) = select.node(field) {
                self.expression(value, block, env, per_row && value.kind != "AConst", "LIMIT")?;
            }
        }
        Ok(())
    }

    /// A grouping, sorting or window key: the expressions in it.
    fn key(&mut self, key: &Node, block: &Block<'_>, env: &Env<'_>, early: bool) -> Outcome {
        match key.kind {
            "SortBy" => match key.node("node") {
                Some(inner) => self.key(inner, block, env, early),
                None => Ok(()),
            },
            "GroupingSet" => key.nodes("content").try_for_each(|k| self.key(k, block, env, early)),
            "WindowDef" => key.children().into_iter().try_for_each(|k| self.key(k, block, env, early)),
            "AConst" if is_number(key) => Ok(()),
            "RowExpr" => key.nodes("args").try_for_each(|k| self.key(k, block, env, early)),
            _ => self.expression(key, block, env, early, "a grouping or sorting key"),
        }
    }

    /// Keys inside a call: OVER (...), ORDER BY and DISTINCT of an aggregate. They are sorted by.
    fn window_keys(&mut self, node: &Node, block: &Block<'_>) {
        if node.kind == "SelectStmt" {
            return;
        }
        if node.kind == "FuncCall" {
            let over = node.node("over");
            let mut keys: Vec<&Node> = node.nodes("agg_order").collect();
            keys.extend(over.iter().flat_map(|o| o.nodes("partition_clause").chain(o.nodes("order_clause"))));
            if node.flag("agg_distinct") {
                keys.extend(node.nodes("args"));
            }
            for key in keys {
                let key = if key.kind == "SortBy" { key.node("node").unwrap_or(key) } else { key };
                if self.safe(key, block).is_none()
                    && !has_aggregate(key, block)
                    && !self.is_any_witness(key, block).unwrap_or(false)
                {
                    self.needs_fence(format!("a sorting key inside a call ({})", key.kind));
                }
            }
        }
        for child in node.children() {
            self.window_keys(child, block);
        }
    }

    fn set_operation(&mut self, select: &Node, env: &Env<'_>, place: Place, fenced: bool) -> Outcome<Facts> {
        let (Some(left), Some(right)) = (select.node("larg"), select.node("rarg")) else {
            return fail("a set operation without two arms");
        };
        let defines = env.defines;
        // Without ALL the arms' lists are sorted or hashed, so treat them as keys.
        let arms = match place {
            Place::Derived if fenced => Place::Top,
            other => other,
        };
        let arms = if arms == Place::Top && !select.flag("all") { Place::Derived } else { arms };
        let mut env = Env { defines: None, ..env.clone() };
        let l = self.select(left, &env, arms)?;
        if let Some(cte) = defines.and_then(|i| env.ctes.get_mut(i)) {
            cte.columns.clone_from(&l.columns);
        }
        let env = &env;
        let r = self.select(right, env, arms)?;
        let block = Block { items: &[], ctes: &env.ctes, parent: env.block };
        for field in ["sort_clause", "limit_count", "limit_offset"] {
            for value in node_or_nodes(select, field) {
                self.key(value, &block, env, false)?;
            }
        }
        let columns = match (l.columns, r.columns) {
            (Some(l), Some(r)) if l.len() == r.len() => Some(
                l.into_iter()
                    .zip(r)
                    .map(|((name, a), (_, b))| (name, if a == b { a } else { Ty::Unknown }))
                    .collect(),
            ),
            _ => None,
        };
        Ok(Facts { exposed: (l.exposed || r.exposed) && !fenced, columns })
    }

    /// Walks one expression: sublinks become blocks, witnesses are exempt, and when `early`, what
    /// is not safe asks for a fence.
    pub(super) fn expression(
        &mut self,
        node: &Node,
        block: &Block<'_>,
        env: &Env<'_>,
        early: bool,
        place: &str,
    ) -> Outcome {
        if self.is_any_witness(node, block)? {
            self.exempt(node);
            return Ok(());
        }
        if self.safe(node, block).is_none_or(|ty| self.becomes_a_condition(ty)) {
            self.unsafe_met += 1;
            if early {
                self.needs_fence(format!("{place} ({})", node.kind));
            }
        }
        self.sublinks(node, block, env, early)
    }

    fn is_any_witness(&self, node: &Node, block: &Block<'_>) -> Outcome<bool> {
        let set = node.kind == "FuncCall" && node.names("funcname") == ["pg_catalog", "unnest"];
        if node.kind != "SubLink" && !set {
            return Ok(false);
        }
        for (oid, alias) in block.protected() {
            if self.is_witness(node, oid, &alias)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sublinks(&mut self, node: &Node, block: &Block<'_>, env: &Env<'_>, early: bool) -> Outcome {
        if self.is_exempt(node) {
            return Ok(());
        }
        if self.is_any_witness(node, block)? {
            self.exempt(node);
            return Ok(());
        }
        if node.kind == "SelectStmt" {
            let inner = Env {
                ctes: env.ctes.clone(),
                block: Some(block),
                exposed: early,
                defines: None,
                locked: false,
            };
            let place = if early { Place::Sublink } else { Place::Top };
            return self.select(node, &inner, place).map(|_| ());
        }
        node.children().into_iter().try_for_each(|child| self.sublinks(child, block, env, early))
    }

    /// Names and types of a select list; `None` when they are not known.
    pub(super) fn output_columns(&self, select: &Node, block: &Block<'_>) -> Columns {
        if select.has("values_lists") {
            return self.values_columns(select, block);
        }
        let mut out = Vec::new();
        for target in select.nodes("target_list") {
            let value = target.node("val")?;
            if value.kind == "ColumnRef" && is_star(value) {
                out.extend(block.star(value.names("fields").last().copied())?);
                continue;
            }
            let name = match target.str("name") {
                // Under a wrong name it would not be found where it is read, and another one of that name around it would.
                "" => column_name(value, self.cx.context.catalog.server_version)?,
                name => name.to_owned(),
            };
            // Concatenations of concatenations double at every level, until memory ends.
            let ty = if concatenates(value) { None } else { self.safe(value, block) };
            // That it could fail was noted where it was walked.
            let cast = || value.node("type_name").map(|t| of_type_name(t, self.cx.context.catalog));
            let ty = ty.or_else(|| cast().filter(|_| value.kind == "TypeCast"));
            let ty = ty.or_else(|| self.window_type(value, block));
            out.push((name, ty.unwrap_or(Ty::Unknown)));
        }
        Some(out)
    }

    /// What a window function of `pg_catalog` gives, which is computed above every filter of its block.
    fn window_type(&self, call: &Node, block: &Block<'_>) -> Option<Ty> {
        let names = call.names("funcname");
        let ([name] | ["pg_catalog", name]) = names.as_slice() else { return None };
        if call.kind != "FuncCall" || !call.has("over") || self.shadowed(name) {
            return None;
        }
        match *name {
            "row_number" | "rank" | "dense_rank" | "count" => Some(Ty::Int(8)),
            "ntile" => Some(Ty::Int(4)),
            "percent_rank" | "cume_dist" => Some(Ty::Float),
            "lag" | "lead" | "first_value" | "last_value" | "nth_value" | "min" | "max" => {
                // With a default the two have a common type.
                let args: Vec<&Node> = call.nodes("args").collect();
                let ty = self.safe(args.first()?, block)?;
                let one = args.len() < 3 && !matches!(ty, Ty::Literal | Ty::Number | Ty::Given);
                one.then_some(ty)
            }
            _ => None,
        }
    }

    /// The columns of VALUES.
    fn values_columns(&self, select: &Node, block: &Block<'_>) -> Columns {
        let rows: Vec<Vec<&Node>> =
            select.nodes("values_lists").map(|r| r.nodes("items").collect()).collect();
        let width = rows.first()?.len();
        let column = |at: usize| {
            let items: Option<Vec<&Node>> = rows.iter().map(|r| r.get(at).copied()).collect();
            let ty = self.values_type(&items?, block).unwrap_or(Ty::Unknown);
            Some((format!("column{}", at + 1), ty))
        };
        (0..width).map(column).collect()
    }

    /// The type that VALUES gives to a column of these (manual, 10.5).
    fn values_type(&self, items: &[&Node], block: &Block<'_>) -> Option<Ty> {
        let whole = |n: &Node| n.node("val").is_some_and(|v| n.kind == "AConst" && v.kind == "Integer");
        let mut types = self.all_safe(items.iter().copied(), block)?;
        // No constants any more: they are not converted where they are compared.
        for (ty, item) in types.iter_mut().zip(items) {
            if *ty == Ty::Number {
                *ty = if whole(item) { Ty::Int(4) } else { Ty::Numeric };
            }
        }
        if items.iter().any(|i| i.kind == "ParamRef") {
            return unify(&types).map(|_| Ty::Given);
        }
        unify(&types).map(|ty| if ty == Ty::Literal { Ty::Text } else { ty })
    }

    /// True when `node` names a filtered relation that no fence covers.
    pub(super) fn mentions_filtered(&self, node: &Node, env: &Env<'_>) -> bool {
        if node.kind == "SelectStmt" && is_fence(node) {
            return false;
        }
        if node.kind == "RangeVar" {
            let name = node.str("relname");
            if !node.has("schemaname")
                && let Some(cte) = env.ctes.iter().rev().find(|c| c.name == name)
            {
                return cte.exposed;
            }
            // The tables on the way to a key, and those with labels, are read by witnesses and guards of other
            // tables. Where one stands elsewhere under such a name, it is found when its own place is judged.
            let ours = ["__glass_t", "__glass_g", "__glass_l"];
            let named = node.node("alias").map_or("", |a| a.str("aliasname"));
            let on_the_way = ours.iter().any(|prefix| named.starts_with(prefix));
            return !on_the_way && self.demand(node).is_ok_and(|d| d.is_some_and(|d| d.hides));
        }
        node.children().into_iter().any(|c| self.mentions_filtered(c, env))
    }
}

fn concatenates(node: &Node) -> bool {
    (node.kind == "AExpr" && node.names("name").last() == Some(&"||"))
        || node.children().into_iter().any(concatenates)
}

fn node_or_nodes<'n>(node: &'n Node, field: &str) -> Vec<&'n Node> {
    node.node(field).into_iter().chain(node.nodes(field)).collect()
}

/// True when a key is the ordinal or the output name of the select list item.
fn names_target(key: &Node, ordinal: usize, name: &str) -> bool {
    match key.kind {
        "SortBy" => key.node("node").is_some_and(|n| names_target(n, ordinal, name)),
        "GroupingSet" => key.nodes("content").any(|k| names_target(k, ordinal, name)),
        "RowExpr" => key.nodes("args").any(|k| names_target(k, ordinal, name)),
        "AConst" => key.node("val").is_some_and(|v| usize::try_from(v.int("ival")) == Ok(ordinal)),
        "ColumnRef" => !name.is_empty() && key.names("fields") == [name],
        _ => false,
    }
}

/// True when a relation of this name is read somewhere inside, schema not given.
fn mentions_name(node: &Node, name: &str) -> bool {
    (node.kind == "RangeVar" && node.str("relname") == name && !node.has("schemaname"))
        || node.children().into_iter().any(|c| mentions_name(c, name))
}
