//! Code of the database's own that runs without being named in a statement: functions behind casts, operators,
//! operator classes, domains, column defaults, generated columns and CHECK constraints. Only what is neither built in
//! nor of C is kept, and what such code names; whether a role may run it is decided in `sql::resolve`. Not here:
//! triggers, row security policies and index expressions, which are their table's own business.

mod load;
mod words;

use std::collections::{HashMap, HashSet};

pub(super) use load::load;
pub use words::Words;

use super::{Oid, QualifiedName};

/// First OID of objects that are not built in (`FirstNormalObjectId`, access/transam.h).
pub(crate) const FIRST_NORMAL_OID: Oid = 16384;

/// What runs without being named.
#[derive(Debug, Clone, Default)]
pub struct OwnCode {
    /// Functions behind the rest, and those they name, by OID.
    pub functions: HashMap<Oid, OwnFunction>,
    /// Functions of extensions by the name of a built-in one, and those they name, by OID.
    pub overloads: HashMap<Oid, OwnFunction>,
    /// Casts that call one of them.
    pub casts: Vec<OwnCast>,
    /// Every operator that is not built in, by its token.
    pub operators: HashMap<String, Vec<OwnOperator>>,
    /// Tokens of operators that are built in; empty where nothing of the database's own is behind any operator.
    pub builtin_operators: HashSet<String>,
    /// CHECK constraints and defaults of domains, those with code of the database's own in them.
    pub domains: HashMap<Oid, Vec<Expression>>,
    /// Functions that work on values of a type: of its operator classes, its range, its input and output.
    pub types: HashMap<Oid, Vec<Oid>>,
    /// Functions of operator classes, which an index may name.
    pub classes: Vec<Oid>,
    /// Defaults, generated columns and CHECK constraints, those with code of the database's own in them; what a table
    /// has, its parents and the views over it have, too.
    pub relations: HashMap<Oid, Vec<RelationCode>>,
    /// The types that are not built in, by bare name.
    pub type_names: HashMap<String, Vec<OwnType>>,
    /// What a type is made of, as far as it is not built in: elements, columns, what is behind a domain.
    pub parts: HashMap<Oid, Vec<Oid>>,
    /// The row types of relations.
    pub row_types: HashMap<Oid, Oid>,
    /// Casts that compute, by a function of whatever language or as text, between built-in types or enums, from and to: conversions that
    /// cannot fail elsewhere may fail here.
    pub converts: Vec<(Oid, Oid)>,
    /// Those of them that nobody has to write.
    pub implicit: Vec<(Oid, Oid)>,
}

/// A function that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFunction {
    /// Its name.
    pub name: QualifiedName,
    /// What can be known of its code.
    pub code: Code,
    /// It belongs to an extension.
    pub of_extension: bool,
}

/// What can be known of a function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// Of C, or an aggregate of such: whether it is immutable.
    Compiled(bool),
    /// SQL and PL/pgSQL: the words in it.
    Words(Words),
    /// Of another language, or it runs texts that it makes, or could not be read.
    Opaque,
}

/// A cast with a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnCast {
    /// `pg_cast.castsource`
    pub from: Oid,
    /// `pg_cast.casttarget`
    pub to: Oid,
    /// `pg_cast.castfunc`
    pub function: Oid,
    /// `pg_cast.castcontext`: `e` only where a type is written, `a` in assignments, too, `i` anywhere.
    pub context: char,
}

/// An operator that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnOperator {
    /// Its schema.
    pub schema: String,
    /// Types of its operands (one for a prefix operator) and of its result.
    pub types: Vec<Oid>,
    /// How many of them are operands.
    pub operands: usize,
    /// A value of some enum may be an operand without a cast: the operand is of an enum, of a domain or of a pseudo-type
    /// (`anyelement`), or an enum is cast to its type by itself.
    pub takes_enum: bool,
    /// Its function, those of its commutator and negator, which the planner may put in its place, and those of its
    /// operator families.
    pub functions: Vec<Oid>,
}

/// A type that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnType {
    /// `pg_type.oid`
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
}

/// An expression that the catalog keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// What it names.
    pub words: Words,
    /// The functions in it, named or not, that are neither built in nor of C.
    pub functions: Vec<Oid>,
}

/// An expression that a write to a relation evaluates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationCode {
    /// The expression.
    pub expression: Expression,
    /// True for CHECK constraints and generated columns, false for defaults.
    pub always: bool,
}

impl OwnCode {
    /// The function of this OID, if it is known.
    pub fn function(&self, oid: Oid) -> Option<&OwnFunction> {
        self.functions.get(&oid).or_else(|| self.overloads.get(&oid))
    }

    /// The types inside `types`, themselves included.
    pub fn inside(&self, types: impl IntoIterator<Item = Oid>) -> HashSet<Oid> {
        let mut todo: Vec<Oid> = types.into_iter().collect();
        let mut found = HashSet::new();
        while let Some(oid) = todo.pop() {
            if oid >= FIRST_NORMAL_OID && found.insert(oid) {
                todo.extend(self.parts.get(&oid).into_iter().flatten());
            }
        }
        found
    }

    /// True when an operator of this token that is not built in has operands of built-in types alone: it may be meant
    /// between columns of such types. One of `citext`, `hstore` and other types of the database's own never is.
    pub fn redefines(&self, token: &str) -> bool {
        let built_in = |o: &OwnOperator| o.operands().iter().all(|oid| *oid < FIRST_NORMAL_OID);
        self.operators.get(token).is_some_and(|all| all.iter().any(built_in))
    }

    /// The same between values of enums.
    pub fn redefines_for_enums(&self, token: &str) -> bool {
        self.operators.get(token).is_some_and(|all| all.iter().any(|o| o.takes_enum))
    }

    /// True when nothing of the database's own runs unnamed.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.domains.is_empty() && self.relations.is_empty()
    }

    /// The name of a type that is not built in.
    pub fn type_name(&self, oid: Oid) -> Option<QualifiedName> {
        self.type_names.iter().find_map(|(name, types)| {
            let found = types.iter().find(|t| t.oid == oid)?;
            Some(QualifiedName::new(found.schema.as_str(), name.as_str()))
        })
    }
}

impl OwnOperator {
    /// Types of its operands.
    pub fn operands(&self) -> &[Oid] {
        self.types.get(..self.operands).unwrap_or_default()
    }
}
