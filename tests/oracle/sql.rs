//! SQL text as a tree that remembers which parts may go: made by the generator, written out with constants or
//! with parameters, and made smaller when a difference was found. No knowledge of SQL beyond that.

use std::fmt::Write as _;

/// Types of values, as the generator tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ty {
    Int,
    Key,
    Num,
    Text,
    Float,
    Date,
    Stamp,
    Bool,
    Jsonb,
    Ints,
    Texts,
    State,
    Uuid,
    /// Has no equality: for the select list only.
    Json,
}

impl Ty {
    /// Its name in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Ty::Int => "int4",
            Ty::Key => "int8",
            Ty::Num => "numeric",
            Ty::Text => "text",
            Ty::Float => "float8",
            Ty::Date => "date",
            Ty::Stamp => "timestamptz",
            Ty::Bool => "bool",
            Ty::Jsonb => "jsonb",
            Ty::Ints => "int4[]",
            Ty::Texts => "text[]",
            Ty::State => "orc.state",
            Ty::Uuid => "uuid",
            Ty::Json => "json",
        }
    }

    /// Its OID in Parse; 0 where the text says it by a cast.
    fn oid(self) -> u32 {
        match self {
            Ty::Int => 23,
            Ty::Key => 20,
            Ty::Num => 1700,
            Ty::Text => 25,
            Ty::Float => 701,
            Ty::Date => 1082,
            Ty::Stamp => 1184,
            Ty::Bool => 16,
            Ty::Jsonb => 3802,
            Ty::Ints => 1007,
            Ty::Texts => 1009,
            Ty::Uuid => 2950,
            Ty::Json => 114,
            Ty::State => 0,
        }
    }
}

/// What a node is, so that another of the same kind can stand in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Expr(Ty),
    Query,
    From,
    /// May be left out.
    Optional,
    /// Members with this between them; all but one may be left out.
    List(&'static str),
    Plain,
}

/// A constant, which may be sent as a parameter.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) ty: Ty,
    pub(crate) text: Option<String>,
    /// Sent as a parameter where the protocol allows.
    pub(crate) param: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(String),
    Node(Node),
    Value(Value),
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) parts: Vec<Part>,
}

impl From<&str> for Part {
    fn from(text: &str) -> Part {
        Part::Text(text.to_owned())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Part {
        Part::Text(text)
    }
}

impl From<&String> for Part {
    fn from(text: &String) -> Part {
        Part::Text(text.clone())
    }
}

impl From<Node> for Part {
    fn from(node: Node) -> Part {
        Part::Node(node)
    }
}

impl From<Value> for Part {
    fn from(value: Value) -> Part {
        Part::Value(value)
    }
}

/// `sql!(kind; part, part ...)`: a node.
macro_rules! sql {
    ($kind:expr; $($part:expr),* $(,)?) => {
        $crate::sql::Node { kind: $kind, parts: vec![$($crate::sql::Part::from($part)),*] }
    };
}
pub(crate) use sql;

/// Parameters as they are sent.
pub(crate) type Parameters = Vec<(u32, Option<String>)>;

impl Node {
    pub(crate) fn list(separator: &'static str, members: Vec<Node>) -> Node {
        Node { kind: Kind::List(separator), parts: members.into_iter().map(Part::Node).collect() }
    }

    /// Nothing, or a part that may be left out.
    pub(crate) fn maybe(part: Option<Node>) -> Node {
        Node { kind: Kind::Optional, parts: part.into_iter().map(Part::Node).collect() }
    }

    /// The text with every constant written out.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, &mut None);
        out
    }

    /// The text with `$n` for the constants that may be parameters.
    pub(crate) fn with_parameters(&self) -> (String, Parameters) {
        let (mut out, mut parameters) = (String::new(), Some(Vec::new()));
        self.write(&mut out, &mut parameters);
        (out, parameters.unwrap_or_default())
    }

    fn write(&self, out: &mut String, parameters: &mut Option<Parameters>) {
        for (i, part) in self.parts.iter().enumerate() {
            if let (Kind::List(separator), 1..) = (self.kind, i) {
                out.push_str(separator);
            }
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Node(node) => node.write(out, parameters),
                Part::Value(value) => match parameters {
                    Some(parameters) if value.param => {
                        parameters.push((value.ty.oid(), value.text.clone()));
                        let _ = write!(out, "${}", parameters.len());
                        if value.ty.oid() == 0 {
                            let _ = write!(out, "::{}", value.ty.sql());
                        }
                    }
                    _ => out.push_str(&value.literal()),
                },
            }
        }
    }

    /// Its constants are never parameters: an expression that stands twice must be equal to itself.
    pub(crate) fn fixed(mut self) -> Node {
        for part in &mut self.parts {
            match part {
                Part::Text(_) => {}
                Part::Node(node) => *node = std::mem::replace(node, sql!(Kind::Plain;)).fixed(),
                Part::Value(value) => value.param = false,
            }
        }
        self
    }

    /// How many nodes there are.
    pub(crate) fn size(&self) -> usize {
        1 + self.parts.iter().map(|p| if let Part::Node(n) = p { n.size() } else { 0 }).sum::<usize>()
    }

    /// Every smaller form that is one step away, those that leave out most first.
    pub(crate) fn smaller(&self) -> Vec<Node> {
        let mut all = Vec::new();
        self.each_smaller(&mut |node| all.push(node));
        all.sort_by_key(Node::size);
        all
    }

    fn each_smaller(&self, found: &mut dyn FnMut(Node)) {
        match self.kind {
            Kind::Optional if !self.parts.is_empty() => found(sql!(Kind::Optional;)),
            Kind::List(_) if self.parts.len() > 1 => {
                for i in 0..self.parts.len() {
                    let mut fewer = self.clone();
                    fewer.parts.remove(i);
                    found(fewer);
                }
            }
            _ => {}
        }
        if matches!(self.kind, Kind::Expr(_) | Kind::Query | Kind::From) {
            let mut inside = Vec::new();
            self.same_inside(self.kind, &mut inside);
            inside.into_iter().cloned().for_each(&mut *found);
            if let Kind::Expr(ty) = self.kind
                && self.size() > 1
            {
                found(sql!(self.kind; format!("NULL::{}", ty.sql())));
            }
        }
        for (i, part) in self.parts.iter().enumerate() {
            let Part::Node(child) = part else { continue };
            child.each_smaller(&mut |smaller| {
                let mut whole = self.clone();
                whole.parts[i] = Part::Node(smaller);
                found(whole);
            });
        }
    }

    fn same_inside<'a>(&'a self, kind: Kind, found: &mut Vec<&'a Node>) {
        for part in &self.parts {
            let Part::Node(child) = part else { continue };
            if child.kind == kind {
                found.push(child);
            }
            child.same_inside(kind, found);
        }
    }
}

impl Value {
    fn literal(&self) -> String {
        let Some(text) = &self.text else { return format!("NULL::{}", self.ty.sql()) };
        match self.ty {
            Ty::Int | Ty::Num | Ty::Bool => text.clone(),
            Ty::Key => format!("{text}::int8"),
            ty => format!("'{}'::{}", text.replace('\'', "''"), ty.sql()),
        }
    }
}
