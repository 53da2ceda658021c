//! Whether `alias.name` is a column for sure: PostgreSQL takes it for a call of function `name` only where the item of
//! FROM has no such column (colNameToVar and ParseFuncOrColumn, parse_func.c). What cannot be told is no column.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Namespace, Resolved};
use crate::sql::tree::{Node, Tree};

/// Names that something surely has among its columns; there can be others.
type Columns = BTreeSet<String>;

/// WITH queries in scope, the innermost last.
type Scope = Vec<(String, Columns)>;

/// The items of one query block, by the names that qualify their columns.
#[derive(Default)]
struct Level {
    items: Vec<(String, Columns)>,
    /// There is an item whose name the server makes up.
    unnamed: bool,
    /// What is looked at stands where the block's items are seen for sure: not inside FROM itself.
    seen: bool,
}

/// Qualified names of a statement: a qualifier and the last name.
type Pairs = BTreeSet<(String, String)>;

/// Looks at every qualified name of a statement.
pub(super) struct Attributes<'a> {
    catalog: &'a Catalog,
    namespace: &'a Namespace,
    /// Query blocks around what is looked at, the innermost last.
    levels: Vec<Level>,
    columns: Pairs,
    /// Those that are not, somewhere.
    others: Pairs,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(root: &Node, catalog: &'a Catalog, namespace: &'a Namespace) -> Self {
        let (levels, columns, others) = (Vec::new(), Pairs::new(), Pairs::new());
        let mut attributes = Self { catalog, namespace, levels, columns, others };
        attributes.walk(root, &Scope::new());
        attributes
    }

    /// True when this is a column wherever the statement has it.
    pub(super) fn is_column(&self, pair: &(String, String)) -> bool {
        self.columns.contains(pair) && !self.others.contains(pair)
    }

    fn walk(&mut self, node: &Node, scope: &Scope) {
        let inner;
        let scope = match node.node("with_clause") {
            Some(with) => {
                inner = self.with(with, scope);
                let first = inner.len().saturating_sub(with.nodes("ctes").count());
                for (n, cte) in with.nodes("ctes").enumerate() {
                    // Without RECURSIVE a query sees those before it only.
                    let seen = if with.flag("recursive") { inner.len() } else { first + n };
                    let seen: Scope = inner.iter().take(seen).cloned().collect();
                    cte.node("ctequery").into_iter().for_each(|query| self.walk(query, &seen));
                }
                &inner
            }
            None => scope,
        };
        if node.kind == "ColumnRef" {
            return self.reference(node);
        }
        let block =
            matches!(node.kind, "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt");
        if block {
            let level = self.level(node, scope);
            self.levels.push(level);
        }
        for (field, value) in &node.fields {
            if block && let Some(level) = self.levels.last_mut() {
                level.seen = !SOURCES.contains(field) && *field != "select_stmt";
            }
            if *field != "with_clause" {
                self.walk_value(value, scope);
            }
        }
        if block {
            self.levels.pop();
        }
    }

    fn walk_value(&mut self, value: &Tree, scope: &Scope) {
        match value {
            Tree::Node(n) => self.walk(n, scope),
            Tree::List(items) => items.iter().for_each(|i| self.walk_value(i, scope)),
            Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
        }
    }

    /// Notes what a qualified name is: the innermost block that has its alias says it.
    fn reference(&mut self, node: &Node) {
        let name = node.names("fields");
        let [before @ .., alias, last] = name.as_slice() else { return };
        let mut found = false;
        let mut others = false;
        for level in self.levels.iter().rev() {
            others |= level.unnamed;
            let mut here = false;
            for (_, columns) in level.items.iter().filter(|(a, _)| a == alias) {
                here = true;
                others |= !columns.contains(*last);
            }
            found |= here;
            // With a schema, an alias is passed over.
            if here && level.seen && before.is_empty() {
                break;
            }
        }
        let pair = ((*alias).to_owned(), (*last).to_owned());
        if found && !others {
            self.columns.insert(pair)
        } else {
            self.others.insert(pair)
        };
    }

    /// The items of a block.
    fn level(&self, node: &Node, scope: &Scope) -> Level {
        let mut level = Level::default();
        for field in SOURCES {
            for item in node.node(field).into_iter().chain(node.nodes(field)) {
                self.item(item, scope, &mut level);
            }
        }
        if let Some(target) = node.node("relation").filter(|_| node.kind != "SelectStmt") {
            // A WITH query is never written to.
            let columns = self.columns(target, &Scope::new());
            for name in ["excluded", "old", "new"] {
                level.items.push((name.to_owned(), columns.clone()));
            }
            let name = target.node("alias").map_or(target.str("relname"), |a| a.str("aliasname"));
            level.items.push((name.to_owned(), columns));
        }
        let returning = node.node("returning_clause").into_iter();
        for option in returning.flat_map(|r| r.nodes("options")) {
            level.items.push((option.str("value").to_owned(), Columns::new()));
        }
        level
    }

    fn item(&self, item: &Node, scope: &Scope, level: &mut Level) {
        let alias = item.node("alias").map(|a| a.str("aliasname"));
        match item.kind {
            "RangeVar" => {
                let name = alias.unwrap_or(item.str("relname")).to_owned();
                level.items.push((name, self.columns(item, scope)));
            }
            "RangeTableSample" => match item.node("relation") {
                Some(relation) => self.item(relation, scope, level),
                None => level.unnamed = true,
            },
            "JoinExpr" => {
                for side in ["larg", "rarg"].into_iter().filter_map(|side| item.node(side)) {
                    self.item(side, scope, level);
                }
                if let Some(alias) = alias {
                    level.items.push((alias.to_owned(), self.columns(item, scope)));
                }
                if let Some(alias) = item.node("join_using_alias") {
                    level.items.push((alias.str("aliasname").to_owned(), Columns::new()));
                }
            }
            _ => match alias {
                Some(alias) => level.items.push((alias.to_owned(), self.columns(item, scope))),
                None => level.unnamed = true,
            },
        }
    }

    /// The scope behind a WITH clause.
    fn with(&self, with: &Node, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        if with.flag("recursive") {
            // Those that are named before their turn have the columns of their list.
            scope
                .extend(with.nodes("ctes").map(|c| (c.str("ctename").to_owned(), names(c, "aliascolnames"))));
        }
        for cte in with.nodes("ctes") {
            let listed = names(cte, "aliascolnames");
            let columns = match cte.node("ctequery").filter(|_| listed.is_empty()) {
                Some(query) => self.outputs(query, &scope),
                None => listed,
            };
            scope.push((cte.str("ctename").to_owned(), columns));
        }
        scope
    }

    /// The columns of an item of FROM or a target.
    fn columns(&self, item: &Node, scope: &Scope) -> Columns {
        let listed = item.node("alias").map(|a| names(a, "colnames")).unwrap_or_default();
        if !listed.is_empty() {
            return listed;
        }
        match item.kind {
            "RangeVar" => {
                let (schema, name) = (item.str("schemaname"), item.str("relname"));
                let with = scope.iter().rev().find(|(n, _)| schema.is_empty() && n == name);
                if let Some((_, columns)) = with {
                    return columns.clone();
                }
                // A relation of the system's may be meant as well.
                if schema.is_empty() && name.starts_with("pg_") {
                    return Columns::new();
                }
                match self.catalog.resolve(Some(schema).filter(|s| !s.is_empty()), name, self.namespace) {
                    Resolved::Relation(r) => r.columns.iter().map(|c| c.name.clone()).collect(),
                    Resolved::Temporary | Resolved::Unknown => Columns::new(),
                }
            }
            "RangeSubselect" => item.node("subquery").map(|q| self.outputs(q, scope)).unwrap_or_default(),
            "RangeTableSample" => item.node("relation").map(|r| self.columns(r, scope)).unwrap_or_default(),
            "JoinExpr" => {
                let sides = ["larg", "rarg"].into_iter().filter_map(|side| item.node(side));
                sides.flat_map(|side| self.columns(side, scope)).collect()
            }
            _ => Columns::new(),
        }
    }

    /// Names of output columns of a query.
    fn outputs(&self, query: &Node, scope: &Scope) -> Columns {
        let inner;
        let scope = match query.node("with_clause") {
            Some(with) => {
                inner = self.with(with, scope);
                &inner
            }
            None => scope,
        };
        if let Some(left) = query.node("larg").filter(|_| query.kind == "SelectStmt") {
            return self.outputs(left, scope);
        }
        let targets: Vec<&Node> = match query.kind {
            "SelectStmt" => query.nodes("target_list").collect(),
            _ => query.node("returning_clause").map(|r| r.nodes("exprs").collect()).unwrap_or_default(),
        };
        let mut out = Columns::new();
        for target in targets {
            let value = target.node("val").filter(|v| v.kind == "ColumnRef");
            if !target.str("name").is_empty() {
                out.insert(target.str("name").to_owned());
            } else if let Some(column) = value {
                let written = column.names("fields");
                match written.as_slice() {
                    [.., last] if written.len() == column.list("fields").len() => {
                        out.insert((*last).to_owned());
                    }
                    // Of what else FROM has, the columns of one item are not told here.
                    [] => {
                        let tables = query.nodes("from_clause").chain(query.nodes("using_clause"));
                        let of_one = query.node("relation").into_iter();
                        let sources = tables.chain(query.node("source_relation"));
                        out.extend(sources.flat_map(|item| self.columns(item, scope)));
                        out.extend(of_one.flat_map(|target| self.columns(target, &Scope::new())));
                    }
                    [alias] => out.extend(self.columns_of(query, alias, scope)),
                    _ => {}
                }
            }
        }
        out
    }

    /// The columns of the one item of a SELECT's FROM that has this alias.
    fn columns_of(&self, query: &Node, alias: &str, scope: &Scope) -> Columns {
        let mut todo: Vec<&Node> = query.nodes("from_clause").collect();
        let mut found = Vec::new();
        while let Some(item) = todo.pop() {
            let name = item.node("alias").map(|a| a.str("aliasname"));
            match item.kind {
                "JoinExpr" if name.is_none() => {
                    todo.extend(["larg", "rarg"].into_iter().filter_map(|side| item.node(side)));
                }
                "RangeTableSample" => todo.extend(item.node("relation")),
                _ if name.unwrap_or(item.str("relname")) == alias => found.push(item),
                _ => {}
            }
        }
        match found.as_slice() {
            [item] => self.columns(item, scope),
            _ => Columns::new(),
        }
    }
}

/// Fields that hold FROM items.
const SOURCES: [&str; 3] = ["from_clause", "using_clause", "source_relation"];

fn names(node: &Node, field: &str) -> Columns {
    node.names(field).into_iter().map(str::to_owned).collect()
}
