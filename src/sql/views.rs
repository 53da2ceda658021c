//! Views without an entry of their own, for restricted roles: each is replaced, in the client's text,
//! by its definition as a subquery, so that what follows (decision, rewriter, checker) sees the tables
//! inside and nothing of the view. Nothing has to trust this: a wrong expansion is guarded like a text
//! that the client wrote. That it means the same is compared as trees all the same. Not for views that
//! have an entry, or are the target of a write; not for unrestricted roles, whose rights on a view need
//! not extend to its tables.

use std::ops::Range;

use pg_query::protobuf::{ScanToken, Token};

use super::deparse::deparse;
use super::parse::{Statement, parse_located, parse_ours};
use super::planner::Context;
use super::tree::{Node, Tree, is_location};
use crate::catalog::{Catalog, Oid, QualifiedName, RelationKind, Resolved, quote_ident};

/// Views inside views beyond this are left closed.
const DEEPEST: usize = 16;
/// Bytes of a definition, or of a text, with everything expanded.
const LONGEST: usize = 256 * 1024;

/// `statement` with every view that has no entry replaced by its definition; `None` when there is
/// none, or it cannot be done: the view is then closed.
pub(super) fn expanded(statement: &Statement, context: &Context) -> Option<Statement> {
    let Context { role, catalog, namespace, .. } = context;
    if !role.is_restricted() || catalog.views.is_empty() || !catalog_first(context) {
        return None;
    }
    // Only names are looked at here: most texts name no view.
    let named = |name: &str| catalog.views.keys().any(|oid| name_of(catalog, *oid) == Some(name));
    if !any_range(&statement.root, &mut |range| {
        named(range.str("relname")) && !namespace.temp_relations.iter().any(|t| t == range.str("relname"))
    }) {
        return None;
    }
    // What has no place for a subquery may have one in libpg_query's own text.
    let own = in_place(&statement.text, statement, context);
    own.or_else(|| in_place(&deparse(&statement.text, &statement.root)?, statement, context))
}

fn in_place(text: &str, statement: &Statement, context: &Context) -> Option<Statement> {
    let text = Expander { context, inside: None, depth: 0 }.text(text)??;
    let parsed = parse_ours(&text.sql).ok()?;
    let [whole] = <[Statement; 1]>::try_from(parsed.statements).ok()?;
    (whole.root == text.root && whole.max_param == statement.max_param).then_some(whole)
}

/// Definitions name what is in `pg_catalog` without its schema. Where the session's path puts another
/// schema first, that would be something else.
fn catalog_first(context: &Context) -> bool {
    let mut path = context.namespace.schemas.iter().filter(|s| !s.starts_with("pg_temp"));
    path.next().is_some_and(|s| s == "pg_catalog")
}

fn name_of(catalog: &Catalog, oid: Oid) -> Option<&str> {
    catalog.relation(oid).map(|r| r.name.name.as_str())
}

fn any_range(node: &Node, found: &mut dyn FnMut(&Node) -> bool) -> bool {
    (node.kind == "RangeVar" && found(node)) || node.children().into_iter().any(|c| any_range(c, found))
}

/// A text and the tree that it must read as.
struct Text {
    sql: String,
    root: Node,
}

/// One text on its way.
struct Expander<'a> {
    context: &'a Context,
    /// The view whose definition this is.
    inside: Option<Oid>,
    depth: usize,
}

/// What is changed in a text.
struct Changes<'a> {
    expander: &'a Expander<'a>,
    tokens: Vec<ScanToken>,
    edits: Vec<(Range<usize>, String)>,
    /// Views named with their schema and without an alias: their columns may be, too.
    qualified: Vec<(String, String)>,
    views: usize,
}

type Ctes = Vec<String>;

impl Expander<'_> {
    /// `None` when it cannot be done, `Some(None)` when there is nothing to do.
    fn text(&self, sql: &str) -> Option<Option<Text>> {
        let located = parse_located(sql).ok()?;
        let tokens = pg_query::scan(sql).ok()?.tokens;
        let mut changes =
            Changes { expander: self, tokens, edits: Vec::new(), qualified: Vec::new(), views: 0 };
        let mut root = changes.node(&located, &Vec::new(), false)?;
        if !changes.qualified.is_empty() {
            root = changes.unqualify(&located, root)?;
        }
        if changes.edits.is_empty() {
            return Some(None);
        }
        if changes.views == 0 && self.inside.is_none() {
            return Some(None);
        }
        let mut edits = changes.edits;
        edits.sort_by_key(|(place, _)| place.start);
        let mut out = String::with_capacity(sql.len() * 2);
        let mut at = 0;
        for (place, words) in &edits {
            out.push_str(sql.get(at..place.start)?);
            out.push_str(words);
            at = place.end;
        }
        out.push_str(sql.get(at..)?);
        (out.len() <= LONGEST).then_some(Some(Text { sql: out, root }))
    }

    /// The expanded definition of a view.
    fn definition(&self, oid: Oid) -> Option<Text> {
        let catalog = &self.context.catalog;
        if self.depth >= DEEPEST || self.inside == Some(oid) {
            return None;
        }
        let view = catalog.views.get(&oid)?;
        let relation = catalog.relation(oid)?;
        let mut sql = view.definition.trim().trim_end_matches(';').to_owned();
        let plain = parse_ours(&sql).ok()?;
        let [one] = <[Statement; 1]>::try_from(plain.statements).ok()?;
        if !shows(&one.root, relation.columns.iter().map(|c| c.name.as_str())) {
            return None;
        }
        // What the planner must not push below the view's own conditions it must not push here.
        if view.barrier && !one.root.has("limit_offset") && !one.root.has("limit_count") {
            sql.push_str(" OFFSET 0");
        }
        let inner = Expander { context: self.context, inside: Some(oid), depth: self.depth + 1 };
        match inner.text(&sql)? {
            Some(text) => Some(text),
            None => {
                let [one] = <[Statement; 1]>::try_from(parse_ours(&sql).ok()?.statements).ok()?;
                Some(Text { sql, root: one.root })
            }
        }
    }

    /// The view that a name in FROM means, when it is one to be expanded.
    fn view(&self, range: &Node) -> Option<Oid> {
        let Context { catalog, namespace, policy, .. } = self.context;
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        let name = range.str("relname");
        let relation = match (self.inside, schema) {
            (None, _) => match catalog.resolve(schema, name, namespace) {
                Resolved::Relation(r) => r,
                Resolved::Temporary | Resolved::Unknown => return None,
            },
            (Some(_), Some(schema)) => catalog.lookup(&QualifiedName::new(schema, name))?,
            (Some(_), None) => return None,
        };
        let closed = relation.kind == RelationKind::View
            && catalog.views.contains_key(&relation.oid)
            && !policy.tables.contains_key(&relation.oid)
            && !policy.reference.contains(&relation.oid)
            && !policy.broken.contains(&relation.oid)
            && !policy.denied.contains_key(&relation.oid)
            && !policy.assignments.contains(&relation.oid);
        // `ONLY v` and a database's name are left alone.
        (closed && range.flag("inh") && !range.has("catalogname")).then_some(relation.oid)
    }
}

impl Changes<'_> {
    /// The node as it will be read, the edits on the way; `from`: it stands in FROM.
    fn node(&mut self, node: &Node, ctes: &Ctes, from: bool) -> Option<Node> {
        if node.kind == "RangeVar" && from {
            return self.range(node, ctes);
        }
        // FOR UPDATE OF names aliases.
        let scope = if node.kind == "LockingClause" { None } else { Some(self.scope(node, ctes)) };
        let with = node.node("with_clause").is_some_and(|w| w.flag("recursive"));
        let mut fields = Vec::with_capacity(node.fields.len());
        for (name, value) in node.fields.iter().filter(|(name, _)| !is_location(name)) {
            let in_from = match (node.kind, *name) {
                ("SelectStmt" | "UpdateStmt", "from_clause") | ("DeleteStmt", "using_clause") => true,
                ("JoinExpr", "larg" | "rarg") => from,
                _ => false,
            };
            let value = match (*name, &scope) {
                ("with_clause", Some(scope)) => self.with(value, if with { scope } else { ctes })?,
                (_, Some(scope)) => self.value(value, scope, in_from)?,
                (_, None) => self.value(value, &Vec::new(), false)?,
            };
            fields.push((*name, value));
        }
        Some(Node { kind: node.kind, fields })
    }

    fn value(&mut self, value: &Tree, ctes: &Ctes, from: bool) -> Option<Tree> {
        Some(match value {
            Tree::Node(n) => Tree::Node(self.node(n, ctes, from)?),
            Tree::List(items) => {
                Tree::List(items.iter().map(|i| self.value(i, ctes, from)).collect::<Option<_>>()?)
            }
            other => other.clone(),
        })
    }

    /// The names of WITH queries inside a statement.
    fn scope(&self, node: &Node, ctes: &Ctes) -> Ctes {
        let mut scope = ctes.clone();
        let own = node.node("with_clause").into_iter().flat_map(|w| w.nodes("ctes"));
        scope.extend(own.map(|c| c.str("ctename").to_owned()));
        scope
    }

    /// A WITH clause: without RECURSIVE a query sees those before it.
    fn with(&mut self, value: &Tree, ctes: &Ctes) -> Option<Tree> {
        let Tree::Node(with) = value else { return Some(value.clone()) };
        let mut scope = ctes.clone();
        let mut fields = Vec::new();
        for (name, value) in with.fields.iter().filter(|(name, _)| !is_location(name)) {
            let Tree::List(items) = value else {
                fields.push((*name, value.clone()));
                continue;
            };
            let mut done = Vec::with_capacity(items.len());
            for cte in items {
                done.push(self.value(cte, &scope, false)?);
                if let Some(n) = cte.as_node() {
                    scope.push(n.str("ctename").to_owned());
                }
            }
            fields.push((*name, Tree::List(done)));
        }
        Some(Tree::Node(Node { kind: with.kind, fields }))
    }

    fn range(&mut self, range: &Node, ctes: &Ctes) -> Option<Node> {
        let bare = bare(range);
        let name = range.str("relname");
        if !range.has("schemaname") && ctes.iter().any(|c| c == name) {
            return Some(bare);
        }
        let at = usize::try_from(range.int("location")).ok()?;
        let Some(oid) = self.expander.view(range) else {
            // In a definition, what has no schema is the system's, whatever the session calls so.
            if self.expander.inside.is_some() && !range.has("schemaname") {
                self.edits.push((at..at, "pg_catalog.".to_owned()));
                let mut bare = bare;
                bare.fields.insert(0, ("schemaname", Tree::Str("pg_catalog".to_owned())));
                return Some(bare);
            }
            return Some(bare);
        };
        let definition = self.expander.definition(oid)?;
        let place = self.name_at(at, if range.has("schemaname") { 3 } else { 1 })?;
        // `TABLE v` has no place for a subquery.
        if let Some(table) = self.table_before(at) {
            self.edits.push((table, "SELECT * FROM".to_owned()));
        }
        let mut words = format!("({})", definition.sql);
        let alias = match bare.node("alias") {
            Some(alias) => alias.clone(),
            None => {
                words.push_str(&format!(" AS {}", quote_ident(name)));
                if range.has("schemaname") {
                    self.qualified.push((range.str("schemaname").to_owned(), name.to_owned()));
                }
                Node { kind: "Alias", fields: vec![("aliasname", Tree::Str(name.to_owned()))] }
            }
        };
        self.edits.push((place, words));
        self.views += 1;
        let fields = vec![("subquery", Tree::Node(definition.root)), ("alias", Tree::Node(alias))];
        Some(Node { kind: "RangeSubselect", fields })
    }

    /// The place of a name of so many tokens, with the `*` that may follow.
    fn name_at(&self, at: usize, count: usize) -> Option<Range<usize>> {
        let first = self.tokens.iter().position(|t| usize::try_from(t.start) == Ok(at))?;
        let mut last = first + count - 1;
        if self.tokens.get(last + 1).is_some_and(|t| t.token == Token::Ascii42 as i32) {
            last += 1;
        }
        Some(at..usize::try_from(self.tokens.get(last)?.end).ok()?)
    }

    /// The word TABLE before a name.
    fn table_before(&self, at: usize) -> Option<Range<usize>> {
        let comments = [Token::CComment as i32, Token::SqlComment as i32];
        let before =
            self.tokens.iter().take_while(|t| usize::try_from(t.start).is_ok_and(|start| start < at));
        let word = before.filter(|t| !comments.contains(&t.token)).last()?;
        if word.token != Token::Table as i32 {
            return None;
        }
        Some(usize::try_from(word.start).ok()?..usize::try_from(word.end).ok()?)
    }

    /// `schema.view.column` to `view.column`: the view is a subquery called `view` now.
    fn unqualify(&mut self, located: &Node, root: Node) -> Option<Node> {
        let mut places = Vec::new();
        self.long_names(located, &mut places);
        for at in places {
            let end = self.name_at(at, 2)?.end;
            // Behind the dot.
            self.edits.push((at..end, String::new()));
        }
        Some(shortened(root, &self.qualified))
    }

    fn long_names(&self, node: &Node, places: &mut Vec<usize>) {
        if is_long(node, &self.qualified)
            && let Ok(at) = usize::try_from(node.int("location"))
        {
            places.push(at);
        }
        node.children().into_iter().for_each(|c| self.long_names(c, places));
    }
}

/// True for a column named with the schema of one of these views.
fn is_long(node: &Node, qualified: &[(String, String)]) -> bool {
    let fields = node.list("fields");
    let text = |i: usize| fields.get(i).and_then(Tree::as_node).map_or("", |n| n.str("sval"));
    node.kind == "ColumnRef"
        && fields.len() == 3
        && qualified.iter().any(|(schema, view)| text(0) == schema && text(1) == view)
}

fn shortened(mut node: Node, qualified: &[(String, String)]) -> Node {
    let long = is_long(&node, qualified);
    for (name, value) in &mut node.fields {
        if let ("fields", true, Tree::List(items)) = (*name, long, &mut *value) {
            items.remove(0);
        }
        shorten(value, qualified);
    }
    node
}

fn shorten(value: &mut Tree, qualified: &[(String, String)]) {
    match value {
        Tree::Node(n) => {
            let own = std::mem::replace(n, Node { kind: "", fields: Vec::new() });
            *n = shortened(own, qualified);
        }
        Tree::List(items) => items.iter_mut().for_each(|i| shorten(i, qualified)),
        Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
    }
}

/// The node without the places in the text.
fn bare(node: &Node) -> Node {
    let fields = node.fields.iter().filter(|(name, _)| !is_location(name));
    Node { kind: node.kind, fields: fields.map(|(name, value)| (*name, bare_value(value))).collect() }
}

fn bare_value(value: &Tree) -> Tree {
    match value {
        Tree::Node(n) => Tree::Node(bare(n)),
        Tree::List(items) => Tree::List(items.iter().map(bare_value).collect()),
        other => other.clone(),
    }
}

/// True when the query's columns have these names, so that none has to be renamed.
fn shows<'c>(select: &Node, columns: impl Iterator<Item = &'c str>) -> bool {
    let mut first = select;
    while let Some(left) = first.node("larg") {
        first = left;
    }
    let names: Vec<&str> = first
        .nodes("target_list")
        .map(|t| match (t.str("name"), t.node("val")) {
            ("", Some(value)) if value.kind == "ColumnRef" => {
                value.names("fields").last().copied().unwrap_or_default()
            }
            (name, _) => name,
        })
        .collect();
    select.kind == "SelectStmt" && names == columns.collect::<Vec<_>>()
}
