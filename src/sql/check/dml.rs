//! INSERT, UPDATE, DELETE: the target's guard, the check of new keys, and masks on targets.

use pg_query::protobuf::OnConflictAction;

use super::block::{Cte, Env, Facts, Inserted, Place};
use super::expected::{conjuncts, expression};
use super::opaque::is_hidden;
use super::placement::{From, Pending};
use super::types::{Block, Item, columns_of};
use super::unmasked::Bare;
use super::{CheckContext, Checker, Demand, Outcome, fail};
use crate::catalog::Oid;
use crate::policy::{Chain, Change, RESERVED_PREFIX, chains, returned_column, untouched};
use crate::sql::parse::is_reserved;
use crate::sql::tree::Node;

fn alias_of(range: &Node) -> String {
    range.node("alias").map_or(range.str("relname"), |a| a.str("aliasname")).to_owned()
}

fn conflict_action(conflict: &Node) -> Option<OnConflictAction> {
    i32::try_from(conflict.int("action")).ok().and_then(|a| OnConflictAction::try_from(a).ok())
}

/// What a write may return of the masked columns of its target.
fn shown_masked(demand: Option<&Demand<'_>>, alias: &str, cx: &CheckContext<'_>) -> Outcome<Vec<Node>> {
    let Some(demand) = demand.filter(|d| !d.masks.own.is_empty()) else { return Ok(Vec::new()) };
    let context = cx.context;
    let (relation, table) =
        (context.catalog.relation(demand.oid), context.bound.table_for(context.role, demand.oid));
    let (Some(relation), Some(table)) = (relation, table) else { return fail("a rule without a relation") };
    let params = demand.filter.then_some(cx.params);
    let columns = relation.columns.iter();
    let texts = columns.filter_map(|c| returned_column(table, c, alias, &demand.masks, params));
    texts.map(|text| expression(&text)).collect()
}

/// The change that a write, or an action of one, makes to the columns it names.
pub(super) fn updated(write: &Node) -> Change {
    Change::Update(write.nodes("target_list").map(|t| t.str("name").to_owned()).collect())
}

impl Checker<'_> {
    /// The target as a FROM item, and what the role's access to it demands.
    pub(super) fn target(&mut self, statement: &Node) -> Outcome<(Item, Option<Demand<'_>>)> {
        let Some(range) = statement.node("relation") else { return fail("no target") };
        let alias = alias_of(range);
        let context = self.cx.context;
        let Some(demand) = self.demand(range)? else {
            return Ok((Item { alias, oid: None, columns: None }, None));
        };
        let columns = context.catalog.relation(demand.oid).map(|r| columns_of(r, context.catalog));
        // Other patients' rows are shown masked at most, never written.
        let filter = demand.filter || demand.masks.outside.is_some();
        let demand = Demand { oid: demand.oid, filter, hides: filter, masks: demand.masks.inside() };
        self.guarded += 1;
        Ok((Item { alias, oid: Some(demand.oid), columns }, Some(demand)))
    }

    pub(super) fn insert(&mut self, insert: &Node, env: &Env<'_>) -> Outcome<Facts> {
        let env = &self.with(insert, env)?;
        let cx = self.cx;
        let (item, demand) = self.target(insert)?;
        let shown = shown_masked(demand.as_ref(), &item.alias, &cx)?;
        let filtered = demand.as_ref().filter(|d| d.filter).map(|d| d.oid);
        let bare = Bare::of(demand.as_ref(), &item.alias, &cx);
        let drops = |c: &Node| conflict_action(c) == Some(OnConflictAction::OnconflictNothing);
        if let Some(oid) = filtered.filter(|_| insert.node("on_conflict_clause").is_some_and(drops)) {
            self.offered(insert, oid, env)?;
        }
        if let Some(source) = insert.node("select_stmt") {
            self.select(source, env, Place::Top)?;
        }
        if let Some(oid) = filtered {
            self.writes_no_link(insert, "cols", oid)?;
            self.new_key_in_returning(insert, oid, &item.alias, env)?;
        }
        let items = [item];
        if let Some(conflict) = insert.node("on_conflict_clause") {
            self.on_conflict(conflict, filtered, &bare, &items, env)?;
        }
        let block = Block { items: &items, ctes: &env.ctes, parent: env.block };
        self.exempt_shown(insert, &shown);
        self.returning(insert, &block, env)?;
        if let Some(returning) = insert.node("returning_clause") {
            self.reads_unmasked(returning, &bare)?;
        }
        Ok(Facts::default())
    }

    /// ON CONFLICT: a row in the way is changed only when its own guard holds. `items` is the target.
    fn on_conflict(
        &mut self,
        conflict: &Node,
        filtered: Option<Oid>,
        bare: &Bare,
        items: &[Item],
        env: &Env<'_>,
    ) -> Outcome {
        let action = conflict_action(conflict);
        let Some(target) = items.first().cloned() else { return fail("ON CONFLICT without a target") };
        let pending: Vec<Pending> = filtered
            .iter()
            .map(|oid| Pending { oid: *oid, alias: target.alias.clone(), locked: true })
            .collect();
        let conditions = match action {
            Some(OnConflictAction::OnconflictNothing) => Vec::new(),
            Some(OnConflictAction::OnconflictUpdate) => {
                self.claim(conjuncts(conflict.field("where_clause")), &pending, "DO UPDATE")?
            }
            Some(OnConflictAction::OnconflictNone | OnConflictAction::Undefined) | None => {
                return fail("ON CONFLICT with an unknown action");
            }
        };
        let mut conditions = conditions;
        if let (Some(oid), Some(OnConflictAction::OnconflictUpdate)) = (filtered, action) {
            let expected = self.proposed_key(oid)?;
            let found = conditions.iter().position(|c| **c == expected);
            let Some(found) = found else { return fail("the patient of a proposed row is not checked") };
            self.exempt(conditions.remove(found));
            self.writes_no_link(conflict, "target_list", oid)?;
            if self.chains(&updated(conflict), oid)?.iter().any(Chain::hides) {
                return fail("DO UPDATE that changes rows of other tables by a foreign key");
            }
        }
        // Visible here only: what was proposed for insertion, the client's own.
        let excluded = Item { alias: "excluded".to_owned(), oid: None, columns: target.columns.clone() };
        let both = [target.clone(), excluded];
        let block = Block { items: &both, ctes: &env.ctes, parent: env.block };
        for condition in conditions {
            match self.behind_visible(condition, &pending)? {
                Some(inside) => self.expression(inside, &block, env, false, "DO UPDATE")?,
                None => {
                    if filtered.is_some() && !is_hidden(condition) && self.safe(condition, &block).is_some() {
                        // The server drops what stands beside a condition that is known to be false.
                        return fail("a condition of DO UPDATE that may be known before the key is checked");
                    }
                    self.expression(condition, &block, env, filtered.is_some(), "a condition of DO UPDATE")?;
                }
            }
        }
        for node in conflict.nodes("target_list").chain(conflict.node("infer")) {
            for value in node.children() {
                self.expression(value, &block, env, false, "DO UPDATE")?;
            }
        }
        self.reads_unmasked(conflict, bare)
    }

    pub(super) fn change(&mut self, change: &Node, env: &Env<'_>) -> Outcome<Facts> {
        let env = &self.with(change, env)?;
        let cx = self.cx;
        let (item, demand) = self.target(change)?;
        let alias = item.alias.clone();
        let shown = shown_masked(demand.as_ref(), &alias, &cx)?;
        let bare = Bare::of(demand.as_ref(), &alias, &cx);
        let filtered = demand.as_ref().filter(|d| d.filter).map(|d| d.oid);
        let sources = || ["from_clause", "using_clause"].into_iter().flat_map(|f| change.nodes(f));
        // FROM cannot name the target.
        let mut from = From::new(sources().any(|f| self.mentions_filtered(f, env)));
        from.items.push(item);
        let own: Vec<Pending> =
            filtered.iter().map(|oid| Pending { oid: *oid, alias: alias.clone(), locked: true }).collect();
        let mut pending = own.clone();
        for node in sources() {
            pending.extend(self.item_of(node, env, &mut from)?);
        }
        let conditions = self.claim(conjuncts(change.field("where_clause")), &pending, "WHERE")?;
        let conditions = match filtered {
            Some(oid) => self.claim_untouched(conditions, change, oid, &alias)?,
            None => conditions,
        };
        let mut conditions = self.asked_first(conditions, &mut from)?;
        conditions.append(&mut from.conditions);
        if let Some(oid) = filtered
            && self.assigns_key(change, oid)?
        {
            self.new_key_in_returning(change, oid, &alias, env)?;
        }
        if let Some(oid) = filtered.filter(|_| change.kind == "UpdateStmt") {
            self.writes_no_link(change, "target_list", oid)?;
        }
        if let Some(oid) = filtered.filter(|_| change.kind != "UpdateStmt") {
            self.takes_no_label_off(oid)?;
        }
        let conditions = self.judged(conditions, &own, env, &mut from)?;
        let semi_joined = self.semi_joins(&conditions, env);
        self.gates(&from, env.exposed || filtered.is_some() || semi_joined);
        let block = Block { items: &from.items, ctes: &env.ctes, parent: env.block };
        let others = env.exposed || from.exposed || !from.filtered.is_empty();
        let exposed = others || filtered.is_some();
        if exposed && from.unsafe_using {
            self.needs_fence("USING or NATURAL over columns that do not compare safely");
        }
        for (condition, behind) in conditions {
            if condition.kind == "CurrentOfExpr" {
                return fail("WHERE CURRENT OF");
            }
            let early = if behind { others } else { exposed };
            self.expression(condition, &block, env, early, "a condition")?;
            if !behind {
                self.estimates(condition, &block);
            }
        }
        for target in change.nodes("target_list") {
            for value in target.children() {
                self.expression(value, &block, env, false, "SET")?;
            }
        }
        self.exempt_shown(change, &shown);
        self.returning(change, &block, env)?;
        // Last: by now the masked forms of other occurrences are exempt.
        self.reads_unmasked(change, &bare)?;
        Ok(Facts::default())
    }

    /// The foreign keys by which a change of rows changes rows of other tables.
    pub(super) fn chains(&self, change: &Change, oid: Oid) -> Outcome<Vec<Chain<'_>>> {
        let context = self.cx.context;
        chains(context.bound, context.role, context.catalog, oid, change).or_else(fail)
    }

    /// Removes from `conditions` those that keep a write from rows of other tables that are hidden; fails when one is
    /// missing.
    fn claim_untouched<'n>(
        &mut self,
        conditions: Vec<&'n Node>,
        change: &Node,
        oid: Oid,
        alias: &str,
    ) -> Outcome<Vec<&'n Node>> {
        let context = self.cx.context;
        let change = if change.kind == "DeleteStmt" { Change::Delete } else { updated(change) };
        let chains = self.chains(&change, oid)?;
        let expected = untouched(context.bound, context.catalog, &chains, alias, self.cx.params);
        if self.writes_twice && !expected.is_empty() {
            return fail(
                "rows of other tables that another write of the statement may have changed go with it",
            );
        }
        let mut rest = conditions;
        for text in expected {
            let part = expression(&text)?;
            let (found, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|n| **n == part);
            if found.is_empty() {
                return fail(format!("nothing keeps \"{alias}\" from rows of others that refer to it"));
            }
            found.into_iter().for_each(|n| self.exempt(n));
            rest = others;
        }
        Ok(rest)
    }

    /// Exempts what a write returns of masked columns as the policy shows it.
    fn exempt_shown(&mut self, statement: &Node, shown: &[Node]) {
        let Some(returning) = statement.node("returning_clause") else { return };
        for value in returning.nodes("exprs").filter_map(|t| t.node("val")) {
            if shown.contains(value) {
                self.exempt(value);
                self.masked = true;
            }
        }
    }

    fn returning(&mut self, statement: &Node, block: &Block<'_>, env: &Env<'_>) -> Outcome {
        let Some(returning) = statement.node("returning_clause") else { return Ok(()) };
        if returning.has("options") && block.items.iter().any(|i| i.oid.is_some()) {
            // RETURNING WITH (OLD AS a) brings aliases of its own.
            return fail("RETURNING WITH");
        }
        for target in returning.nodes("exprs") {
            if let Some(value) = target.node("val")
                && !self.is_exempt(value)
            {
                self.expression(value, block, env, false, "RETURNING")?;
            }
        }
        Ok(())
    }

    /// True when an UPDATE may change a column by which a row belongs to its patient, or to a category: it writes
    /// one, or the server computes one, or triggers change rows.
    fn assigns_key(&self, change: &Node, oid: Oid) -> Outcome<bool> {
        let deciding = self.table(oid)?.deciding_columns();
        let assigned = |t: &Node| deciding.contains(&t.str("name"));
        let catalog = self.cx.context.catalog;
        Ok(change.kind == "UpdateStmt"
            && (change.nodes("target_list").any(assigned)
                || catalog.computes(oid, |c| deciding.contains(&c))
                || catalog.rewrites_rows(oid)))
    }

    /// Fails when a filtered role writes a column that makes rows of other tables somebody's.
    pub(super) fn writes_no_link(&self, statement: &Node, field: &str, oid: Oid) -> Outcome {
        let context = self.cx.context;
        let named: Vec<&str> = statement.nodes(field).map(|t| t.str("name")).collect();
        let link = |column: &str| context.bound.is_link(oid, column);
        let inserts = statement.kind == "InsertStmt" || !statement.list("values").is_empty();
        let all = inserts && named.is_empty();
        // A row of a label that goes to another patient takes the label off the one before.
        let owners = self.table(oid)?.rule.owner_columns();
        let moves =
            |column: &str| !inserts && context.bound.labels.contains(&oid) && owners.contains(&column);
        let link = |column: &str| link(column) || moves(column);
        let written = match context.catalog.relation(oid) {
            Some(relation) if all => relation.columns.iter().any(|c| link(&c.name)),
            Some(_) if named.is_empty() => false,
            // What the server computes is written with whatever it is computed from.
            Some(_) => named.into_iter().any(link) || context.catalog.computes(oid, link),
            None => true,
        };
        if written { fail("a column that decides whose rows of other tables are") } else { Ok(()) }
    }

    /// Fails when a filtered role deletes rows of a relation that says who has which label.
    pub(super) fn takes_no_label_off(&self, oid: Oid) -> Outcome {
        match self.cx.context.bound.labels.contains(&oid) {
            true => fail("it deletes rows that say which labels patients have"),
            false => Ok(()),
        }
    }

    /// Demands the check of the written row's patient as a hidden column of RETURNING.
    fn new_key_in_returning(&mut self, statement: &Node, oid: Oid, alias: &str, env: &Env<'_>) -> Outcome {
        let parents = match statement.kind {
            "InsertStmt" => self.parents(oid, env)?,
            _ => Vec::new(),
        };
        let expected = [self.new_key(oid, alias, &[])?, self.new_key(oid, alias, &parents)?];
        let prefix = format!("{RESERVED_PREFIX}c");
        let found = statement.node("returning_clause").and_then(|r| {
            r.nodes("exprs").find(|t| {
                t.str("name").starts_with(&prefix) && t.node("val").is_some_and(|v| expected.contains(v))
            })
        });
        match found.and_then(|t| t.node("val")) {
            Some(value) => {
                self.exempt(value);
                Ok(())
            }
            None => fail(format!("the new patient of \"{alias}\" is not checked")),
        }
    }

    /// What an INSERT in WITH, which was judged, puts into a filtered relation. `names`: those of its first columns.
    pub(super) fn inserted(&self, insert: &Node, names: &[&str]) -> Outcome<Option<Inserted>> {
        let Some(range) = insert.node("relation").filter(|_| insert.kind == "InsertStmt") else {
            return Ok(None);
        };
        // As for a target: what is shown masked outside is filtered where it is written.
        let written = |d: &Demand<'_>| d.filter || d.masks.outside.is_some();
        let Some(demand) = self.demand(range)?.filter(written) else { return Ok(None) };
        let alias = alias_of(range);
        let prefix = format!("{RESERVED_PREFIX}p");
        let returned = insert.node("returning_clause").map(|r| r.nodes("exprs").collect::<Vec<_>>());
        let columns = returned.unwrap_or_default().into_iter().filter_map(|t| {
            let value = t.node("val").filter(|v| v.kind == "ColumnRef" && v.list("fields").len() == 2)?;
            // A column that lost its name to the list is found by nobody; another one must not have got it.
            let ours = t.str("name").starts_with(&prefix) && !names.contains(&t.str("name"));
            let name = ours.then(|| t.str("name").to_owned())?;
            match value.names("fields").as_slice() {
                [of, column] if *of == alias => Some((name, (*column).to_owned())),
                _ => None,
            }
        });
        Ok(Some(Inserted { oid: demand.oid, columns: columns.collect() }))
    }

    /// The WITH queries before that insert rows of the table which tells whose a row of `oid` is, each with
    /// its column of what such a row refers to.
    pub(super) fn parents(&self, oid: Oid, env: &Env<'_>) -> Outcome<Vec<(String, String)>> {
        let Some(step) = self.table(oid)?.rule.parent() else { return Ok(Vec::new()) };
        let Some(parent) = self.cx.context.catalog.by_name.get(&step.table) else { return Ok(Vec::new()) };
        let of = |cte: &Cte| {
            let inserted = cte.inserted.as_ref().filter(|i| i.oid == *parent && is_reserved(&cte.name))?;
            let (name, _) = inserted.columns.iter().find(|(_, column)| *column == step.references)?;
            Some((cte.name.clone(), name.clone()))
        };
        Ok(env.ctes.iter().filter_map(of).collect())
    }
}
