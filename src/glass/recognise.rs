//! Finds the calls of schema `glass` in a parsed statement: stage one, at Parse. Nothing recognised
//! here is ever sent to the server. Two forms are answered, `SELECT * FROM glass.f(...)` and
//! `SELECT glass.f(...)`, alone in their statement and with constants or bind parameters only;
//! every other mention of a function of this schema is refused with the form that works. Not for
//! values: `shape` reads them at Bind.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, Alias, FuncCall, LimitOption, Node, RangeFunction, RawStmt, SelectStmt, SetOperation, TypeCast,
    TypeName, a_const,
};

use super::args::{self, Type};
use super::call::{Function, Parameter};
use super::shape::{Argument, Form, Shape, wrong_call};
use super::{unacceptable, unavailable};
use crate::policy::Refusal;

/// The schema whose functions are ours. Its tables, if a database has any, are not.
const SCHEMA: &str = "glass";

/// False when no statement in `text` can mention a function of schema `glass`: a cheap test that
/// spares most statements the search. `U&"\0067lass"` spells the name without its letters.
pub fn may_mention(text: &str) -> bool {
    let has = |needle: &[u8]| text.as_bytes().windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle));
    has(SCHEMA.as_bytes()) || has(b"u&")
}

/// Stage one. `None`: the statement has nothing to do with `glass` functions.
///
/// # Errors
/// `Some(Err(_))` (GLS-203) when it mentions one in a form that is not answered.
pub fn recognise(statement: &RawStmt) -> Option<Result<Shape, Refusal>> {
    if !mentions(statement) {
        return None;
    }
    let node = statement.stmt.as_ref().and_then(|s| s.node.as_ref());
    let found = match node {
        Some(NodeEnum::SelectStmt(select)) => sole_call(select),
        // Every other kind of statement (EXPLAIN, PREPARE, DECLARE, COPY, CALL, INSERT ...) only
        // contains the call, and would do something with it that is not done here.
        _ => None,
    };
    let Some((form, call)) = found else {
        return Some(Err(unacceptable(
            "glass functions stand alone: one call in one SELECT, and nothing else",
        )
        .with_hint(format!(
            "Write for example {} or {}.",
            Function::Status.example(),
            Function::Close.example()
        ))));
    };
    Some(shape(form, call))
}

/// True when a function of schema `glass` is named anywhere in the tree, whatever the depth.
///
/// It searches the tree's JSON form: a quote inside a name or a string is escaped there, so that
/// only a real `funcname` reads like one, and no kind of node can be forgotten.
fn mentions(statement: &RawStmt) -> bool {
    let Ok(json) = serde_json::to_string(statement) else { return true };
    // As a part of the name that another part follows: the schema.
    let ours = format!("{{\"sval\":\"{SCHEMA}\"}}}}}},{{");
    json.split("\"funcname\":[").skip(1).any(|after| {
        let name = after.split_once("],\"args\":").map_or(after, |(name, _)| name);
        name.contains(&ours)
    })
}

/// The call, when the SELECT is nothing but it. Every field of the statement is looked at.
fn sole_call(select: &SelectStmt) -> Option<(Form, &FuncCall)> {
    let SelectStmt {
        distinct_clause,
        into_clause: None,
        target_list,
        from_clause,
        where_clause: None,
        group_clause,
        group_distinct: false,
        having_clause: None,
        window_clause,
        values_lists,
        sort_clause,
        limit_offset: None,
        limit_count: None,
        limit_option,
        locking_clause,
        with_clause: None,
        op,
        all: false,
        larg: None,
        rarg: None,
    } = select
    else {
        return None;
    };
    let lists = [distinct_clause, group_clause, window_clause, values_lists, sort_clause, locking_clause];
    if lists.iter().any(|list| !list.is_empty())
        || *op != SetOperation::SetopNone as i32
        || *limit_option != LimitOption::Default as i32
    {
        return None;
    }
    let [target] = target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    if !target.indirection.is_empty() {
        return None;
    }
    let value = target.val.as_ref()?.node.as_ref()?;
    match (value, from_clause.as_slice()) {
        (NodeEnum::FuncCall(call), []) => {
            let name = if target.name.is_empty() { last_name(call)?.to_owned() } else { target.name.clone() };
            Some((Form::Scalar(name), call))
        }
        (NodeEnum::ColumnRef(star), [source]) => {
            let [Node { node: Some(NodeEnum::AStar(_)) }] = star.fields.as_slice() else { return None };
            Some((Form::Rows, function_source(source)?))
        }
        _ => None,
    }
}

/// The call of `FROM glass.f(...)`, with or without an alias.
fn function_source(source: &Node) -> Option<&FuncCall> {
    let Some(NodeEnum::RangeFunction(source)) = &source.node else { return None };
    let RangeFunction { lateral: false, ordinality: false, is_rowsfrom: false, functions, alias, coldeflist } =
        source
    else {
        return None;
    };
    let plain_alias = |a: &Alias| a.colnames.is_empty();
    if !coldeflist.is_empty() || !alias.as_ref().is_none_or(plain_alias) {
        return None;
    }
    let [Node { node: Some(NodeEnum::List(list)) }] = functions.as_slice() else { return None };
    let (Node { node: Some(NodeEnum::FuncCall(call)) }, definitions) = list.items.split_first()? else {
        return None;
    };
    definitions.iter().all(|d| d.node.is_none()).then_some(call)
}

/// The unqualified name.
fn last_name(call: &FuncCall) -> Option<&str> {
    call.funcname.last().and_then(as_string)
}

fn as_string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(s)) => Some(s.sval.as_str()),
        _ => None,
    }
}

/// The function and its arguments, each matched to its parameter.
fn shape(form: Form, call: &FuncCall) -> Result<Shape, Refusal> {
    let name = last_name(call).unwrap_or_default();
    let qualified = call.funcname.len() == 2 && call.funcname.first().and_then(as_string) == Some(SCHEMA);
    let Some(function) = Function::by_name(name).filter(|_| qualified) else {
        return Err(if Function::is_not_yet(name) {
            unavailable(format!("glass.{name}"))
        } else {
            unacceptable("there is no such function in schema glass")
                .with_hint("SELECT * FROM glass.help() lists them.")
        });
    };
    let plain = call.agg_order.is_empty()
        && call.agg_filter.is_none()
        && call.over.is_none()
        && !call.agg_within_group
        && !call.agg_star
        && !call.agg_distinct
        && !call.func_variadic;
    if !plain {
        return Err(wrong_call(
            function,
            "DISTINCT, ORDER BY, FILTER, OVER, VARIADIC and * have no place in this call",
        ));
    }
    let mut arguments: Vec<(Parameter, Argument)> = Vec::new();
    let mut named = false;
    for (i, node) in call.args.iter().enumerate() {
        let (parameter, value) = match &node.node {
            Some(NodeEnum::NamedArgExpr(arg)) => {
                named = true;
                (named_parameter(function, &arg.name)?, arg.arg.as_deref())
            }
            _ if named => {
                return Err(wrong_call(function, "an argument by position cannot follow one by name"));
            }
            _ => {
                let parameter = function.parameters().get(..function.positional()).and_then(|p| p.get(i));
                let Some(parameter) = parameter else {
                    return Err(wrong_call(function, "there are more arguments by position than it takes"));
                };
                (*parameter, Some(node))
            }
        };
        if arguments.iter().any(|(p, _)| p.name == parameter.name) {
            return Err(wrong_call(function, &format!("{} is given twice", parameter.name)));
        }
        let value = value.and_then(|v| v.node.as_ref());
        arguments
            .push((parameter, value.map_or_else(|| Err(not_constant(function)), |v| argument(function, v))?));
    }
    Ok(Shape { function, form, arguments })
}

fn named_parameter(function: Function, name: &str) -> Result<Parameter, Refusal> {
    if let Some(parameter) = function.parameters().iter().find(|p| p.name == name) {
        return Ok(*parameter);
    }
    if Function::is_parameter_not_yet(name) {
        return Err(unavailable(format!("{name} => ...")));
    }
    let known: Vec<&str> = function.parameters().iter().map(|p| p.name).collect();
    Err(wrong_call(function, &format!("its parameters are: {}", known.join(", "))))
}

fn not_constant(function: Function) -> Refusal {
    wrong_call(function, "arguments are constants or bind parameters")
}

/// An argument: a constant, a parameter, an array of those, or a cast of one of them.
fn argument(function: Function, node: &NodeEnum) -> Result<Argument, Refusal> {
    match node {
        NodeEnum::AConst(constant) => self::constant(constant).ok_or_else(|| not_constant(function)),
        NodeEnum::ParamRef(param) => match u16::try_from(param.number) {
            Ok(number) if number > 0 => Ok(Argument::Param { number, cast: None }),
            _ => Err(not_constant(function)),
        },
        NodeEnum::AArrayExpr(array) => {
            let elements =
                array.elements.iter().filter_map(|e| e.node.as_ref()).map(|e| argument(function, e));
            let elements: Vec<Argument> = elements.collect::<Result<_, _>>()?;
            let flat = elements.iter().all(|e| !matches!(e, Argument::Array(_)));
            if flat { Ok(Argument::Array(elements)) } else { Err(not_constant(function)) }
        }
        NodeEnum::TypeCast(cast) => self::cast(function, cast),
        _ => Err(not_constant(function)),
    }
}

fn constant(constant: &AConst) -> Option<Argument> {
    if constant.isnull {
        return Some(Argument::Null);
    }
    match constant.val.as_ref()? {
        a_const::Val::Ival(i) => Some(Argument::Text(i.ival.to_string())),
        a_const::Val::Fval(f) => Some(Argument::Text(f.fval.clone())),
        a_const::Val::Sval(s) => Some(Argument::Text(s.sval.clone())),
        a_const::Val::Boolval(_) | a_const::Val::Bsval(_) => None,
    }
}

/// A cast says nothing about a constant that its parameter does not say already; of a bind
/// parameter it says the type. A cast that could change the value (a length) is refused.
fn cast(function: Function, cast: &TypeCast) -> Result<Argument, Refusal> {
    let refuse =
        || wrong_call(function, "casts are to text, varchar, int, uuid or interval, or arrays of these");
    let (ty, is_array) = cast.type_name.as_ref().and_then(type_of).ok_or_else(refuse)?;
    let inner = cast.arg.as_ref().and_then(|a| a.node.as_ref()).ok_or_else(refuse)?;
    match argument(function, inner)? {
        Argument::Param { number, cast: None } => {
            Ok(Argument::Param { number, cast: Some(if is_array { ty.array } else { ty.oid }) })
        }
        // `$1::text::int8`: the inner cast is the parameter's type, as in PostgreSQL.
        param @ Argument::Param { .. } => Ok(param),
        Argument::Array(elements) if is_array => Ok(Argument::Array(elements)),
        Argument::Array(_) => Err(refuse()),
        Argument::Text(text) if is_array => {
            Ok(Argument::Array(args::array_literal(&text)?.into_iter().map(Argument::Text).collect()))
        }
        constant @ (Argument::Text(_) | Argument::Null) => Ok(constant),
    }
}

/// A built-in type without modifiers, and whether an array of it.
fn type_of(name: &TypeName) -> Option<(Type, bool)> {
    if name.setof || name.pct_type || !name.typmods.is_empty() || name.array_bounds.len() > 1 {
        return None;
    }
    let names: Option<Vec<&str>> = name.names.iter().map(as_string).collect();
    let ty = match names?.as_slice() {
        [bare] | ["pg_catalog", bare] => Type::by_name(bare)?,
        _ => return None,
    };
    Some((ty, !name.array_bounds.is_empty()))
}
