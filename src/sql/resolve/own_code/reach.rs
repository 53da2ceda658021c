//! What of the code that runs unnamed a statement can reach. Types decide: which can be met in it (written, or of
//! columns, functions, operators), and which values are converted to. Nothing is inferred; in doubt it is reached.

use std::collections::{BTreeSet, HashSet};

use super::super::survey::{Resolution, resolve_name, survey};
use super::super::{Context, Survey, Usage};
use crate::catalog::{Expression, FIRST_NORMAL_OID, Oid, OwnOperator, RelationCode};
use crate::policy::Access;
use crate::sql::tree::Node;
use pg_query::protobuf::{ObjectType, SubLinkType};

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

/// Functions that convert what the client writes to the type of another argument, or to a row's columns, beside all whose
/// name begins with `array_`.
const LEND_TYPES: [&str; 13] = [
    "lag",
    "lead",
    "trim_array",
    "width_bucket",
    "percentile_disc",
    "range_agg",
    "multirange",
    "json_populate_record",
    "json_populate_recordset",
    "jsonb_populate_record",
    "jsonb_populate_record_valid",
    "jsonb_populate_recordset",
    "enum_range",
];

/// Built-in functions that take the name of a type as text and read a value of it.
const TAKE_NAMES: [&str; 2] = ["pg_input_is_valid", "pg_input_error_info"];

/// What a walk over the tree finds.
#[derive(Default)]
struct Mentions {
    /// Types: schema as written, bare name.
    types: BTreeSet<(Option<String>, String)>,
    /// A type is written, a function called, or something else that converts its operands by itself: `||`, JSON.
    converts: bool,
    /// An array is made of elements.
    arrays: bool,
    /// References of one name, which can be a whole row.
    names: BTreeSet<String>,
    /// `t.*` as a value.
    row: bool,
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
                self.converts = true;
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
                self.converts |= token == "||";
                // IN and NULLIF have `=` or `<>` as their name; DISTINCT FROM has `=`.
                self.operators.insert(token.to_owned());
            }
            "SubLink" => {
                let name = node.names("oper_name");
                self.operators.insert(name.last().copied().unwrap_or("=").to_owned());
                self.arrays |= node.int("sub_link_type") == i64::from(SubLinkType::ArraySublink as i32);
            }
            "AArrayExpr" => self.arrays = true,
            "FuncCall" => {
                self.converts = true;
                let name = node.names("funcname");
                let last = name.last().copied().unwrap_or_default();
                self.arrays |= last.starts_with("array_") || LEND_TYPES.contains(&last);
            }
            "ColumnRef" => match (node.names("fields").as_slice(), node.list("fields").len()) {
                ([name], 1) => _ = self.names.insert((*name).to_owned()),
                ([.., _], 2..) if node.names("fields").len() < node.list("fields").len() => self.row = true,
                _ => {}
            },
            // `t.*` as columns.
            "ResTarget" if node.node("val").is_some_and(|v| v.kind == "ColumnRef") => {
                let value = node.node("val").map(|v| (v.names("fields").len(), v.list("fields").len()));
                if value.is_some_and(|(names, all)| names < all) {
                    return;
                }
            }
            kind if kind.starts_with("Json") && kind != "JsonBehavior" => self.converts = true,
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
    let attributes = !survey.attributes.is_empty();
    let mut out = Vec::new();
    for (token, operator) in &types.operators {
        out.extend(
            operator.functions.iter().map(|f| Reached::Function(*f, Behind::Operator(token, operator))),
        );
    }
    for cast in &own.casts {
        let met = |t: Oid| t < FIRST_NORMAL_OID || types.met.contains(&t);
        let implicit = cast.context == 'i';
        let to = match implicit || cast.to < FIRST_NORMAL_OID {
            true => met(cast.to),
            false => types.made.contains(&cast.to),
        };
        // Functions of text and JSON convert their arguments explicitly. Between built-in types the guards themselves
        // may.
        let builtin = cast.from.max(cast.to) < FIRST_NORMAL_OID;
        let converted = implicit || mentions.converts || attributes || !mentions.writes.is_empty();
        if builtin || (converted && met(cast.from) && to) {
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

/// Everything that some statement can reach: of relations, those that are open to the role.
pub(super) fn all<'a>(context: &Context<'a>) -> Vec<Reached<'a>> {
    let own = &context.catalog.own_code;
    let mut out = of_types(own.domains.keys().chain(own.types.keys()).copied().collect(), context);
    out.extend(own.casts.iter().map(|c| Reached::Function(c.function, Behind::Cast(c.from, c.to))));
    for (token, operator) in own.operators.iter().flat_map(|(t, all)| all.iter().map(move |o| (t, o))) {
        out.extend(
            operator.functions.iter().map(|f| Reached::Function(*f, Behind::Operator(token, operator))),
        );
    }
    let open = own
        .relations
        .iter()
        .filter(|(oid, _)| !matches!(context.bound.access(context.role, **oid), Access::Denied(_)));
    out.extend(open.flat_map(|(oid, all)| all.iter().map(|c| Reached::Relation(*oid, c))));
    out
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
        let mut rows: HashSet<Oid> = HashSet::new();
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
            if let Some(row) = own.row_types.get(&oid) {
                rows.insert(*row);
                met.push(*row);
                if mentions.row || mentions.names.contains(&occurrence.alias) {
                    made.push(*row);
                }
            }
            met.extend(
                context.catalog.relation(oid).into_iter().flat_map(|r| r.columns.iter().map(|c| c.type_oid)),
            );
        }
        // A constant beside a value of many is read as many, by any operator, CASE or COALESCE.
        let many =
            |oid: &Oid| own.inside([*oid]).iter().any(|part| part != oid && own.domains.contains_key(part));
        made.extend(met.iter().filter(|oid| **oid >= FIRST_NORMAL_OID && !rows.contains(oid) && many(oid)));
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
        if copies || mentions.operators.contains("||") || mentions.arrays {
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
