//! What of the code that runs unnamed a statement can reach. Types decide: which can be met in it (written, or of
//! columns, functions, operators), and which values are converted to. Nothing is inferred; in doubt it is reached.

use std::collections::{BTreeSet, HashSet};

use super::super::survey::{Resolution, resolve_name, survey};
use super::super::{Context, Survey, Usage};
use crate::catalog::{Expression, FIRST_NORMAL_OID, Oid, OwnOperator, RelationCode};
use crate::sql::tree::Node;
use pg_query::protobuf::ObjectType;

/// Code that a statement can reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reached<'a> {
    /// A function, and behind what.
    Function(Oid, Behind<'a>),
    /// An expression of a domain.
    Domain(Oid, &'a Expression),
    /// An expression of a relation.
    Relation(Oid, &'a RelationCode),
}

/// What a function is behind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind<'a> {
    /// A cast from and to these types.
    Cast(Oid, Oid),
    /// An operator of a schema.
    Operator(&'a str, &'a OwnOperator),
    /// A type.
    Type(Oid),
    /// An operator class.
    Class,
}

impl Reached<'_> {
    /// What it is behind, for people.
    pub(super) fn place(&self, context: &Context<'_>) -> String {
        let own = &context.catalog.own_code;
        let of = |oid: &Oid| own.type_name(*oid).map(|n| n.to_string());
        match self {
            Reached::Function(_, Behind::Cast(from, to)) => match (of(from), of(to)) {
                (_, Some(name)) => format!("a cast to type {name}"),
                (Some(name), None) => format!("a cast of type {name}"),
                (None, None) => "a cast between built-in types".to_owned(),
            },
            Reached::Function(_, Behind::Operator(token, operator)) => {
                format!("operator {}.{token}", operator.schema)
            }
            Reached::Function(_, Behind::Type(oid)) => {
                format!("type {}", of(oid).unwrap_or_else(|| "of the server".to_owned()))
            }
            Reached::Function(_, Behind::Class) => "an operator class".to_owned(),
            Reached::Domain(oid, _) => format!("domain {}", of(oid).unwrap_or_default()),
            Reached::Relation(oid, code) => {
                let what = if code.always { "a constraint or generated column" } else { "a column default" };
                let table = context.catalog.relation(*oid).map(|r| r.name.to_string()).unwrap_or_default();
                format!("{what} of table {table}")
            }
        }
    }
}

/// Functions of which a domain's value can be an argument, beside a constant that becomes one: calls of these, and `||`,
/// convert what the client writes to the type of an element, a row or another argument.
const LEND_TYPES: [&str; 21] = [
    "lag",
    "lead",
    "array_append",
    "array_prepend",
    "array_cat",
    "array_position",
    "array_positions",
    "array_remove",
    "array_replace",
    "array_fill",
    "width_bucket",
    "percentile_disc",
    "json_populate_record",
    "json_populate_recordset",
    "jsonb_populate_record",
    "jsonb_populate_record_valid",
    "jsonb_populate_recordset",
    "json_to_record",
    "jsonb_to_record",
    "any_value",
    "range_agg",
];

/// Built-in functions that take the name of a type as text and read a value of it.
const TAKE_NAMES: [&str; 2] = ["pg_input_is_valid", "pg_input_error_info"];

/// What a walk over the tree finds.
#[derive(Default)]
struct Mentions {
    /// Types: schema as written, bare name.
    types: BTreeSet<(Option<String>, String)>,
    /// A type is written.
    casts: bool,
    operators: BTreeSet<String>,
    /// Targets of writes.
    writes: Vec<Write>,
    /// DEFAULT stands for a value.
    default: bool,
    /// An index names an operator class.
    class: bool,
}

struct Write {
    relation: (Option<String>, String),
    usage: Usage,
    /// The columns that are written, where it is known that others are not.
    columns: Option<Vec<String>>,
}

impl Mentions {
    fn node(&mut self, node: &Node) {
        match node.kind {
            "TypeName" => {
                self.casts = true;
                if let Some((name, rest)) = node.names("names").split_last() {
                    let schema = rest.last().filter(|s| **s != "pg_catalog").map(|s| (*s).to_owned());
                    self.types.insert((schema, (*name).to_owned()));
                }
            }
            "AExpr" => {
                let name = node.names("name");
                let token = name.last().copied().unwrap_or_default();
                if token.contains("BETWEEN") {
                    self.operators.extend(["<", "<=", ">", ">="].map(str::to_owned));
                }
                // IN and NULLIF have `=` or `<>` as their name; DISTINCT FROM has `=`.
                self.operators.insert(token.to_owned());
            }
            "SubLink" => {
                let name = node.names("oper_name");
                self.operators.insert(name.last().copied().unwrap_or("=").to_owned());
            }
            "SortBy" => self.operators.extend(node.names("use_op").last().map(|n| (*n).to_owned())),
            "CaseExpr" if node.has("arg") => _ = self.operators.insert("=".to_owned()),
            "JoinExpr" if node.flag("is_natural") || node.has("using_clause") => {
                self.operators.insert("=".to_owned());
            }
            "SetToDefault" => self.default = true,
            "IndexElem" => self.class |= node.has("opclass"),
            "InsertStmt" => self.write(node, Usage::InsertTarget, None),
            "UpdateStmt" => {
                let columns = node.nodes("target_list").map(|t| t.str("name").to_owned()).collect();
                self.write(node, Usage::UpdateTarget, Some(columns));
            }
            "MergeStmt" => self.write(node, Usage::MergeTarget, None),
            "CopyStmt" if node.flag("is_from") => self.write(node, Usage::InsertTarget, None),
            _ => {}
        }
        node.children().into_iter().for_each(|child| self.node(child));
    }

    fn write(&mut self, node: &Node, usage: Usage, columns: Option<Vec<String>>) {
        let Some(range) = node.node("relation") else { return };
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty()).map(str::to_owned);
        self.writes.push(Write { relation: (schema, range.str("relname").to_owned()), usage, columns });
    }
}

/// What `root` can reach, and a temporary type that it names and that a restricted role did not make.
pub(super) fn reached<'a>(root: &Node, context: &Context<'a>) -> (Vec<Reached<'a>>, Option<String>) {
    let own = &context.catalog.own_code;
    let mut mentions = Mentions::default();
    mentions.node(root);
    let survey = survey(root, context.catalog, context.namespace);
    // A type's name before a parenthesis or behind a dot can be a cast.
    let called = survey.functions.iter().map(|(schema, name)| (schema.clone(), name.clone()));
    let attributes = survey.attributes.iter().map(|name| (None, name.clone()));
    mentions.types.extend(called.chain(attributes));
    let temp = &context.namespace.temp_types;
    let temporary = mentions.types.iter().find_map(|(schema, name)| {
        let here = schema.as_deref().is_none_or(|s| s.starts_with("pg_temp"));
        let bare = name.strip_prefix('_').unwrap_or(name);
        (here && (temp.contains(name) || temp.iter().any(|t| t == bare))).then(|| name.clone())
    });
    if temporary.is_some() || own.is_empty() {
        return (Vec::new(), temporary);
    }
    let types = Types::of(root, &mentions, &survey, context);
    let mut out = Vec::new();
    for (token, operator) in &types.operators {
        out.extend(
            operator.functions.iter().map(|f| Reached::Function(*f, Behind::Operator(token, operator))),
        );
    }
    for cast in &own.casts {
        let met = |t: Oid| t < FIRST_NORMAL_OID || types.met.contains(&t);
        let builtin = cast.from.max(cast.to) < FIRST_NORMAL_OID;
        let written = match cast.context {
            'e' => mentions.casts,
            'a' => mentions.casts || !mentions.writes.is_empty(),
            _ => true,
        };
        // Between built-in types also what the guards themselves are made of.
        if builtin || (written && met(cast.from) && met(cast.to)) {
            out.push(Reached::Function(cast.function, Behind::Cast(cast.from, cast.to)));
        }
    }
    for (of, functions) in &own.types {
        if *of < FIRST_NORMAL_OID || types.met.contains(of) {
            out.extend(functions.iter().map(|f| Reached::Function(*f, Behind::Type(*of))));
        }
    }
    if mentions.class {
        out.extend(own.classes.iter().map(|f| Reached::Function(*f, Behind::Class)));
    }
    let domains = own.domains.iter().filter(|(oid, _)| types.made.contains(*oid));
    out.extend(domains.flat_map(|(oid, all)| all.iter().map(|w| Reached::Domain(*oid, w))));
    for write in &mentions.writes {
        for oid in relations_of(write, context) {
            let code = own.relations.get(&oid).into_iter().flatten();
            let runs = |c: &&RelationCode| c.always || mentions.default || write.usage != Usage::UpdateTarget;
            out.extend(code.filter(runs).map(|c| Reached::Relation(oid, c)));
        }
    }
    (out, None)
}

/// What can be reached by making values of these types.
pub(super) fn of_types<'a>(types: HashSet<Oid>, context: &Context<'a>) -> Vec<Reached<'a>> {
    let own = &context.catalog.own_code;
    let domains = own.domains.iter().filter(|(oid, _)| types.contains(*oid));
    let behind = own.types.iter().filter(|(oid, _)| types.contains(*oid));
    let functions =
        behind.flat_map(|(oid, all)| all.iter().map(|f| Reached::Function(*f, Behind::Type(*oid))));
    domains.flat_map(|(oid, all)| all.iter().map(|w| Reached::Domain(*oid, w))).chain(functions).collect()
}

fn relations_of(write: &Write, context: &Context<'_>) -> Vec<Oid> {
    let (schema, name) = &write.relation;
    let found = resolve_name(context.catalog, context.namespace, schema.as_deref(), name);
    found
        .into_iter()
        .filter_map(|r| match r {
            Resolution::User(oid) => Some(oid),
            Resolution::System(_) | Resolution::Temporary | Resolution::Unknown => None,
        })
        .collect()
}

/// The types of a statement that are not built in.
#[derive(Default)]
struct Types<'a> {
    /// Values of them can be met.
    met: HashSet<Oid>,
    /// Values of them can be made of others.
    made: HashSet<Oid>,
    /// Operators, not built in, that its operators can mean.
    operators: Vec<(&'a str, &'a OwnOperator)>,
}

impl<'a> Types<'a> {
    fn of(root: &Node, mentions: &Mentions, survey: &Survey, context: &Context<'a>) -> Self {
        let own = &context.catalog.own_code;
        let mut made: Vec<Oid> = Vec::new();
        let mut met: Vec<Oid> = Vec::new();
        for (schema, name) in &mentions.types {
            let all = own.type_names.get(name).into_iter().flatten();
            let meant =
                all.filter(|t| schema.as_ref().is_none_or(|s| *s == t.schema || s.starts_with("pg_temp")));
            made.extend(meant.map(|t| t.oid));
        }
        for (_, name) in &survey.functions {
            for function in context.catalog.functions.get(name).into_iter().flatten() {
                made.extend(&function.args);
                met.push(function.result);
            }
        }
        for occurrence in &survey.occurrences {
            let Resolution::User(oid) = occurrence.resolution else { continue };
            met.extend(own.row_types.get(&oid));
            met.extend(
                context.catalog.relation(oid).into_iter().flat_map(|r| r.columns.iter().map(|c| c.type_oid)),
            );
        }
        for write in &mentions.writes {
            for relation in
                relations_of(write, context).into_iter().filter_map(|o| context.catalog.relation(o))
            {
                let written = |name: &String| write.columns.as_ref().is_none_or(|c| c.contains(name));
                made.extend(relation.columns.iter().filter(|c| written(&c.name)).map(|c| c.type_oid));
            }
        }
        let mut types = Self { met: own.inside(met), made: own.inside(made), operators: Vec::new() };
        types.met.extend(&types.made);
        types.find_operators(mentions, context);
        let called = |names: &[&str]| survey.functions.iter().any(|(_, n)| names.contains(&n.as_str()));
        let copies = survey.into
            || (root.kind == "CreateTableAsStmt"
                && root.int("objtype") == i64::from(ObjectType::ObjectTable as i32));
        if copies || mentions.operators.contains("||") || called(&LEND_TYPES) {
            types.made.extend(&types.met);
        }
        if called(&TAKE_NAMES) {
            types.made.extend(own.domains.keys());
            types.met.extend(own.types.keys());
        }
        types
    }

    /// Operators by their tokens. One whose token is a built-in operator's, too, is meant when one of its types is met;
    /// another by whatever it is given.
    fn find_operators(&mut self, mentions: &Mentions, context: &Context<'a>) {
        let own = &context.catalog.own_code;
        let on_path =
            |o: &OwnOperator| o.schema == "pg_catalog" || context.namespace.schemas.contains(&o.schema);
        let mut rest: Vec<(&str, &OwnOperator)> = Vec::new();
        for token in &mentions.operators {
            if let Some((token, all)) = own.operators.get_key_value(token) {
                rest.extend(all.iter().filter(|o| on_path(o)).map(|o| (token.as_str(), o)));
            }
        }
        loop {
            let met = |operator: &OwnOperator, token: &str| {
                let mut operands = operator.operands().iter().filter(|t| **t >= FIRST_NORMAL_OID).peekable();
                operands.peek().is_none()
                    || !own.builtin_operators.contains(token)
                    || operands.any(|t| self.met.contains(t))
            };
            let (found, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(token, o)| met(o, token));
            if found.is_empty() {
                return;
            }
            for (token, operator) in found {
                let types = own.inside(operator.types.iter().copied());
                self.met.extend(&types);
                self.made.extend(&types);
                self.operators.push((token, operator));
            }
            rest = others;
        }
    }
}
