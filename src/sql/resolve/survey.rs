//! What a statement mentions: every relation occurrence with its CTE scope applied, functions,
//! operators, names of columns, and node kinds outside the allow-list. No judgement is made here.

use std::collections::BTreeSet;

use super::attributes::Attributes;
use super::kinds::known_kind;
use crate::catalog::{Catalog, Namespace, Oid, Resolved};
use crate::sql::functions::{builtin_allowed, system_relation_allowed};
use crate::sql::redact::is_withheld;
use crate::sql::tree::{Node, Tree};

/// What a statement does with a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Reads it: an item of FROM or USING, a COPY source, a lock.
    Read,
    /// INSERT's target.
    InsertTarget,
    /// UPDATE's target.
    UpdateTarget,
    /// DELETE's target.
    DeleteTarget,
    /// MERGE's target.
    MergeTarget,
    /// Anything else (DDL).
    Other,
}

/// What a relation name turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// A relation of the catalog snapshot outside the system schemas.
    User(Oid),
    /// A system relation, and whether restricted roles may read it.
    System(bool),
    /// A temporary relation of this session.
    Temporary,
    /// Not in the snapshot.
    Unknown,
}

/// One place where a statement names a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// Schema as written, if written.
    pub schema: Option<String>,
    /// Name as PostgreSQL reads it (folded, unquoted).
    pub name: String,
    /// The name it has inside its query block: the alias, or the relation's own name.
    pub alias: String,
    /// What it is.
    pub resolution: Resolution,
    /// What is done with it.
    pub usage: Usage,
}

impl Occurrence {
    /// The name as the client wrote it, for messages.
    pub fn written(&self) -> String {
        self.schema.as_ref().map_or_else(|| self.name.clone(), |s| format!("{s}.{}", self.name))
    }
}

/// Everything a statement mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Relation occurrences in tree order.
    pub occurrences: Vec<Occurrence>,
    /// Function calls: schema as written, name.
    pub functions: BTreeSet<(Option<String>, String)>,
    /// `set_config` calls whose name is a constant, and whose value and scope are constants or
    /// parameters: SET by another name; `None` is a value that only Bind knows. Any other call of it is
    /// among the functions.
    pub settings: BTreeSet<(String, Option<String>)>,
    /// Operators written `OPERATOR(schema.op)`, with a schema other than `pg_catalog`.
    pub foreign_operators: BTreeSet<String>,
    /// Last names of dotted column references and of `(expr).name`: PostgreSQL also tries them as
    /// functions of one argument. Those are left out that a row-taking function is called like, where FROM shows that
    /// there is such a column: it comes first.
    pub attributes: BTreeSet<String>,
    /// Those of them that may stand behind a value that is no row: `(2).f`, or `g.f` of a function `g` in FROM. A
    /// function of any one argument can be meant.
    pub scalar_attributes: BTreeSet<String>,
    /// Last names of all column references.
    pub columns: BTreeSet<String>,
    /// Node kinds that are not on the allow-list.
    pub unknown_kinds: BTreeSet<&'static str>,
    /// ON CONFLICT occurs.
    pub on_conflict: bool,
    /// SELECT INTO occurs.
    pub into: bool,
    /// WHERE CURRENT OF occurs.
    pub current_of: bool,
    /// TABLESAMPLE with a method that is not built in.
    pub foreign_sampling: bool,
}

/// Names of CTEs in scope.
type Ctes = Vec<String>;

struct Walker<'a> {
    catalog: &'a Catalog,
    namespace: &'a Namespace,
    survey: Survey,
    /// Inside RETURNING of an INSERT with ON CONFLICT, outside of subqueries.
    upserted: bool,
    /// Qualifier and last name of dotted column references.
    dotted: BTreeSet<(String, String)>,
    /// Aliases of functions in FROM, empty for one without: their row can be a value that is none.
    functions_in_from: BTreeSet<String>,
}

/// Surveys one statement.
pub fn survey(root: &Node, catalog: &Catalog, namespace: &Namespace) -> Survey {
    survey_of_part(root, root, catalog, namespace)
}

/// Surveys one statement without what `root` lacks of it: what its aliases mean is looked for in the `whole`.
pub(crate) fn survey_of_part(root: &Node, whole: &Node, catalog: &Catalog, namespace: &Namespace) -> Survey {
    let mut walker = Walker {
        catalog,
        namespace,
        survey: Survey::default(),
        upserted: false,
        dotted: BTreeSet::new(),
        functions_in_from: BTreeSet::new(),
    };
    walker.node(root, &Vec::new());
    let Walker { mut survey, mut dotted, functions_in_from, .. } = walker;
    // Rarely is there a function of a column's name that takes rows.
    let scalars = !functions_in_from.is_empty();
    let callable = |name: &String| {
        let all = catalog.functions.get(name).into_iter().flatten();
        let mut meant = all.filter(|f| f.takes_row || (scalars && f.unary));
        meant.any(|f| f.schema != "pg_catalog" || !builtin_allowed(name))
    };
    if dotted.iter().any(|(_, name)| callable(name)) {
        let all = Attributes::of(whole, catalog, namespace);
        dotted.retain(|pair| !(callable(&pair.1) && all.is_column(pair)));
    }
    survey.attributes.extend(dotted.iter().map(|(_, name)| name.clone()));
    // Without an alias its name is made up by the server, of more kinds of calls than need be told apart here.
    let unnamed = functions_in_from.contains("");
    let of_functions =
        dotted.into_iter().filter(|(qualifier, _)| unnamed || functions_in_from.contains(qualifier));
    survey.scalar_attributes.extend(of_functions.map(|(_, name)| name));
    survey
}

/// Resolves a relation name as the server would. PostgreSQL searches `pg_catalog` before any
/// schema that the search path does not put in front of it, and temporary relations before that.
pub(crate) fn resolve_name(
    catalog: &Catalog,
    namespace: &Namespace,
    schema: Option<&str>,
    name: &str,
) -> Vec<Resolution> {
    if let Some(allowed) = schema.and_then(|s| system_relation_allowed(s, name)) {
        return vec![Resolution::System(allowed)];
    }
    let system = || Resolution::System(system_relation_allowed("pg_catalog", name) == Some(true));
    match catalog.resolve(schema, name, namespace) {
        Resolved::Temporary => vec![Resolution::Temporary],
        Resolved::Relation(r) => {
            let own = match system_relation_allowed(&r.name.schema, name) {
                Some(allowed) => Resolution::System(allowed),
                None => Resolution::User(r.oid),
            };
            // A snapshot without system relations cannot tell which of the two an unqualified
            // `pg_...` means: the statement must be acceptable under both.
            if schema.is_none() && name.starts_with("pg_") { vec![own, system()] } else { vec![own] }
        }
        Resolved::Unknown if schema.is_none() && name.starts_with("pg_") => vec![system()],
        Resolved::Unknown
            if schema.is_none() && namespace.schemas.iter().any(|s| s == "information_schema") =>
        {
            vec![Resolution::System(system_relation_allowed("information_schema", name) == Some(true))]
        }
        Resolved::Unknown => vec![Resolution::Unknown],
    }
}

/// Name and value of `set_config('name', 'value' or $n, true, false or $n)`.
fn constant_setting(call: &Node, name: &[&str]) -> Option<(String, Option<String>)> {
    let (["set_config"] | ["pg_catalog", "set_config"]) = name else { return None };
    let args: Vec<&Node> = call.nodes("args").collect();
    let [setting, value, local] = args.as_slice() else { return None };
    let text = |n: &Node| n.node("val").filter(|v| v.kind == "String").map(|v| v.str("sval").to_owned());
    let constant = |n: &Node| (n.kind == "AConst").then(|| text(n)).flatten();
    let boolean = local.kind == "ParamRef" || local.node("val").is_some_and(|v| v.kind == "Boolean");
    // Nothing but a name and its three arguments: no OVER, FILTER, VARIADIC.
    let plain = call.list("args").len() == 3
        && call.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"));
    if !plain || !boolean {
        return None;
    }
    let value = if value.kind == "ParamRef" { None } else { Some(constant(value)?) };
    Some((constant(setting)?, value))
}

/// Name and value in `SELECT set_config(name, 'value', true | false) FROM t WHERE name = 'setting'`:
/// pg_dump sets in this way what not every server has. Whatever `t` is, only this name gets through.
fn setting_by_name(select: &Node) -> Option<(String, String)> {
    let plain = select
        .fields
        .iter()
        .all(|(f, _)| matches!(*f, "target_list" | "from_clause" | "where_clause" | "limit_option" | "op"));
    let [Tree::Node(target)] = select.list("target_list") else { return None };
    let ([Tree::Node(range)], condition) = (select.list("from_clause"), select.node("where_clause")?) else {
        return None;
    };
    let call = target.node("val").filter(|c| c.kind == "FuncCall" && !target.has("indirection"))?;
    let name = |node: &Node| node.kind == "ColumnRef" && node.names("fields") == ["name"];
    let text = |node: &Node| {
        let value = node.node("val").filter(|v| node.kind == "AConst" && v.kind == "String")?;
        Some(value.str("sval").to_owned())
    };
    let ([Tree::Node(by), Tree::Node(value), Tree::Node(local)], true) = (
        call.list("args"),
        matches!(call.names("funcname").as_slice(), ["set_config"] | ["pg_catalog", "set_config"]),
    ) else {
        return None;
    };
    let simple = call.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"));
    let boolean = local.kind == "AConst" && local.node("val").is_some_and(|v| v.kind == "Boolean");
    let equals = condition.kind == "AExpr"
        && condition.int("kind") == i64::from(pg_query::protobuf::AExprKind::AexprOp as i32)
        && condition.names("name") == ["="]
        && condition.node("lexpr").is_some_and(name);
    if !(plain && simple && boolean && equals && range.kind == "RangeVar" && name(by)) {
        return None;
    }
    Some((text(condition.node("rexpr")?)?, text(value)?))
}

/// `xmax = 0` and its kind, by which clients tell a row that was inserted from one that was in the way: nothing
/// but that is told by it, and the row is one that the statement wrote.
fn tells_inserted(node: &Node) -> bool {
    let cast = |n: &Node, to: &[&str]| {
        n.kind == "TypeCast"
            && n.node("type_name").is_some_and(
                |t| matches!(t.names("names").as_slice(), [name] | ["pg_catalog", name] if to.contains(name)),
            )
    };
    let is_xmax = |mut n: &Node| {
        // `xmax::text::int`.
        while cast(n, &["text", "int4", "int8"]) {
            let Some(arg) = n.node("arg") else { return false };
            n = arg;
        }
        let names = n.names("fields");
        n.kind == "ColumnRef"
            && names.len() == n.list("fields").len()
            && matches!(names.as_slice(), ["xmax"] | [_, "xmax"])
    };
    let is_zero = |mut n: &Node| {
        if cast(n, &["xid"]) {
            let Some(arg) = n.node("arg") else { return false };
            n = arg;
        }
        let Some(value) = n.node("val").filter(|_| n.kind == "AConst") else { return false };
        match value.kind {
            "Integer" => value.int("ival") == 0,
            "String" => value.str("sval") == "0",
            _ => false,
        }
    };
    let (Some(left), Some(right)) = (node.node("lexpr"), node.node("rexpr")) else { return false };
    node.kind == "AExpr"
        && node.int("kind") == i64::from(pg_query::protobuf::AExprKind::AexprOp as i32)
        && matches!(node.names("name").as_slice(), ["=" | "<>" | "!=" | ">"])
        && ((is_xmax(left) && is_zero(right)) || (is_zero(left) && is_xmax(right)))
}

impl Walker<'_> {
    fn relation(&mut self, range: &Node, usage: Usage, ctes: &Ctes) {
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        let name = range.str("relname");
        // Only what is read can be a CTE: a target is looked up as a relation.
        if schema.is_none() && usage == Usage::Read && ctes.iter().any(|c| c == name) {
            return;
        }
        let alias = range.node("alias").map_or(name, |a| a.str("aliasname"));
        for resolution in resolve_name(self.catalog, self.namespace, schema, name) {
            self.survey.occurrences.push(Occurrence {
                schema: schema.map(str::to_owned),
                name: name.to_owned(),
                alias: alias.to_owned(),
                resolution,
                usage,
            });
        }
    }

    /// Walks the WITH clause and returns the scope for the statement it belongs to.
    fn with(&mut self, statement: &Node, ctes: &Ctes) -> Ctes {
        let mut scope = ctes.clone();
        let Some(with) = statement.node("with_clause") else { return scope };
        self.kind(with);
        let names = || with.nodes("ctes").map(|c| c.str("ctename").to_owned());
        if with.flag("recursive") {
            scope.extend(names());
            for cte in with.nodes("ctes") {
                self.node(cte, &scope);
            }
        } else {
            for cte in with.nodes("ctes") {
                self.node(cte, &scope);
                scope.push(cte.str("ctename").to_owned());
            }
        }
        scope
    }

    fn kind(&mut self, node: &Node) {
        if !known_kind(node.kind) {
            self.survey.unknown_kinds.insert(node.kind);
        }
    }

    fn node(&mut self, node: &Node, ctes: &Ctes) {
        self.kind(node);
        if let Some(setting) = (node.kind == "SelectStmt").then(|| setting_by_name(node)).flatten() {
            self.survey.settings.insert((setting.0, Some(setting.1)));
            for field in ["from_clause", "where_clause"] {
                self.value(node.field(field), ctes);
            }
            return;
        }
        let target = match node.kind {
            "InsertStmt" => Some(Usage::InsertTarget),
            "UpdateStmt" => Some(Usage::UpdateTarget),
            "DeleteStmt" => Some(Usage::DeleteTarget),
            "MergeStmt" => Some(Usage::MergeTarget),
            "SelectStmt" => None,
            _ => return self.other(node, ctes),
        };
        let around = std::mem::replace(&mut self.upserted, false);
        let scope = self.with(node, ctes);
        for (field, value) in &node.fields {
            self.upserted =
                node.kind == "InsertStmt" && *field == "returning_clause" && node.has("on_conflict_clause");
            match (*field, target, value.as_node()) {
                ("with_clause", _, _) => {}
                ("relation", Some(usage), Some(range)) => {
                    self.relation(range, usage, &scope);
                    self.children(range, &scope);
                }
                _ => self.value(value, &scope),
            }
        }
        self.upserted = around;
    }

    fn value(&mut self, value: &Tree, ctes: &Ctes) {
        match value {
            Tree::Node(n) => self.node(n, ctes),
            Tree::List(items) => items.iter().for_each(|i| self.value(i, ctes)),
            Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
        }
    }

    fn children(&mut self, node: &Node, ctes: &Ctes) {
        for (_, value) in &node.fields {
            self.value(value, ctes);
        }
    }

    fn other(&mut self, node: &Node, ctes: &Ctes) {
        if self.upserted && tells_inserted(node) {
            return;
        }
        match node.kind {
            "RangeVar" => self.relation(node, Usage::Read, ctes),
            // Ours, or the same text written by hand.
            "RangeSubselect" if is_withheld(node, self.catalog) => return,
            // FOR UPDATE OF names aliases; SELECT INTO names what does not exist yet.
            "LockingClause" => return,
            "IntoClause" => {
                self.survey.into = true;
                return;
            }
            "OnConflictClause" => self.survey.on_conflict = true,
            "CurrentOfExpr" => self.survey.current_of = true,
            "RangeTableSample" => {
                let method = node.names("method");
                let builtin = matches!(
                    method.as_slice(),
                    ["system" | "bernoulli"] | ["pg_catalog", "system" | "bernoulli"]
                );
                self.survey.foreign_sampling |= !builtin;
            }
            "FuncCall" => {
                let name = node.names("funcname");
                if let Some(setting) = constant_setting(node, &name) {
                    self.survey.settings.insert(setting);
                } else if self.rewrites_only(node, &name) {
                    // A function of its arguments.
                } else if let Some((last, rest)) = name.split_last() {
                    let schema = rest.last().map(|s| (*s).to_owned());
                    self.survey.functions.insert((schema, (*last).to_owned()));
                }
            }
            "RangeFunction" => {
                let alias = node.node("alias").map_or("", |a| a.str("aliasname"));
                self.functions_in_from.insert(alias.to_owned());
            }
            "AExpr" => self.operator(&node.names("name")),
            "SubLink" => self.operator(&node.names("oper_name")),
            "SortBy" => self.operator(&node.names("use_op")),
            "ColumnRef" => {
                let name = node.names("fields");
                if let Some(last) = name.last().filter(|_| node.list("fields").len() == name.len()) {
                    self.survey.columns.insert((*last).to_owned());
                    if let [.., qualifier, _] = name.as_slice() {
                        self.dotted.insert(((*qualifier).to_owned(), (*last).to_owned()));
                    }
                }
            }
            "AIndirection" => {
                for field in node.names("indirection") {
                    self.survey.attributes.insert(field.to_owned());
                    self.survey.scalar_attributes.insert(field.to_owned());
                    self.survey.columns.insert(field.to_owned());
                }
            }
            _ => {}
        }
        self.children(node, ctes);
    }

    /// True for `ts_rewrite` of three queries: that of two takes the second for SQL, and runs it.
    fn rewrites_only(&self, call: &Node, name: &[&str]) -> bool {
        let own = self.catalog.functions.get("ts_rewrite").into_iter().flatten();
        matches!(name, ["ts_rewrite"] | ["pg_catalog", "ts_rewrite"])
            && call.list("args").len() == 3
            && call.nodes("args").all(|arg| arg.kind != "NamedArgExpr")
            && call.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"))
            && own.into_iter().all(|f| f.schema == "pg_catalog")
    }

    fn operator(&mut self, name: &[&str]) {
        if let [schema, op] = name
            && *schema != "pg_catalog"
        {
            self.survey.foreign_operators.insert(format!("{schema}.{op}"));
        }
    }
}
