//! Whether a function that runs unnamed may run for a role: it is listed, or of C, or of SQL or PL/pgSQL and names
//! nothing that the role could not read or call itself. Words decide, not grammar: a word that could be a closed
//! relation's name counts as that relation.

use std::collections::HashSet;

use super::super::{Context, has_protected_child};
use super::reach::Reached;
use crate::catalog::{
    Code, Expression, FIRST_NORMAL_OID, Function, Oid, QualifiedName, Relation, RelationKind, Words,
};
use crate::policy::Access;
use crate::sql::functions::{allowed_alone, builtin_allowed, system_relation_allowed};

/// Functions of extensions that are of C, not immutable, and read no tables: beginnings of their names.
const HARMLESS_COMPILED: [&str; 6] = ["gen_random_", "gen_salt", "uuid_", "pgp_", "unaccent", "ulid"];

/// Built-in functions about sequences: what they tell is told by the keys themselves.
const SEQUENCES: [&str; 4] = ["nextval", "currval", "lastval", "setval"];

pub(super) struct Judge<'a> {
    context: &'a Context<'a>,
    /// It is part of a table: the client can run it on rows it writes there only, and whose table it is chose it.
    of_table: bool,
    seen: Vec<Oid>,
    seen_types: Vec<Oid>,
    seen_written: Vec<Oid>,
}

/// The types of a function's arguments and result.
fn types_of(function: &Function) -> impl Iterator<Item = Oid> {
    function.args.iter().copied().chain([function.result])
}

impl<'a> Judge<'a> {
    /// The name of the first function in `reached` that may not run.
    pub(super) fn of(reached: &Reached<'_>, context: &'a Context<'a>) -> Option<String> {
        let of_table = matches!(reached, Reached::Relation(..));
        let mut judge =
            Judge { context, of_table, seen: Vec::new(), seen_types: Vec::new(), seen_written: Vec::new() };
        match reached {
            Reached::Function(oid, _) => judge.function(*oid),
            Reached::Domain(_, expression) => judge.expression(expression),
            Reached::Relation(_, code) => judge.expression(&code.expression),
        }
    }

    /// True when a call by the name of a built-in function shows nothing that the role may not see, whichever of the
    /// functions by that name it means.
    pub(super) fn is_harmless_call(name: &str, context: &'a Context<'a>) -> bool {
        let mut judge = Judge {
            context,
            of_table: false,
            seen: Vec::new(),
            seen_types: Vec::new(),
            seen_written: Vec::new(),
        };
        judge.call(name).is_none()
    }

    fn function(&mut self, oid: Oid) -> Option<String> {
        if self.seen.contains(&oid) {
            return None;
        }
        self.seen.push(oid);
        let Some(function) = self.context.catalog.own_code.function(oid) else {
            return Some(format!("{oid}"));
        };
        if self.context.role.functions.contains(&function.name) {
            return None;
        }
        let harmless = match &function.code {
            Code::Compiled(_) => true,
            Code::Words(words) => {
                let called = self.context.catalog.functions.get(&function.name.name).into_iter().flatten();
                let types = called.filter(|f| f.oid == oid).flat_map(types_of);
                !self.closed_relation(words) && self.body(words, types.collect()).is_none()
            }
            Code::Opaque => false,
        };
        (!harmless).then(|| function.name.to_string())
    }

    /// The name of the first function of an expression that may not run. It names no relations.
    fn expression(&mut self, expression: &Expression) -> Option<String> {
        let Expression { words, functions } = expression;
        let builtin = words.calls.iter().find(|name| !self.builtin(name)).cloned();
        builtin.or_else(|| functions.iter().find_map(|oid| self.function(*oid))).or_else(|| {
            let named = self.named(words);
            self.types(&self.context.catalog.own_code.inside(named))
        })
    }

    /// The name of the first function that may not run behind the words of a body, in which values of these types are
    /// met.
    fn body(&mut self, words: &Words, types: Vec<Oid>) -> Option<String> {
        if let Some(refused) = words.calls.iter().find_map(|name| self.call(name)) {
            return Some(refused);
        }
        let met = self.met(words, types);
        self.operators(words, &met)
            .or_else(|| self.casts(&met))
            .or_else(|| self.types(&met))
            .or_else(|| self.written(words))
    }

    /// The types that words name.
    fn named<'w>(&self, words: &'w Words) -> impl Iterator<Item = Oid> + use<'w, 'a> {
        let names = &self.context.catalog.own_code.type_names;
        words.all.iter().filter_map(|w| names.get(w)).flatten().map(|t| t.oid)
    }

    /// The types of which a body can meet a value.
    fn met(&self, words: &Words, mut types: Vec<Oid>) -> HashSet<Oid> {
        let catalog = self.context.catalog;
        types.extend(self.named(words));
        let called = words.calls.iter().filter_map(|name| catalog.functions.get(name)).flatten();
        types.extend(called.flat_map(types_of));
        for relation in self.relations(words) {
            types.extend(catalog.own_code.row_types.get(&relation.oid));
            types.extend(relation.columns.iter().map(|c| c.type_oid));
        }
        catalog.own_code.inside(types)
    }

    /// The relations that the words can mean.
    fn relations<'w>(&self, words: &'w Words) -> impl Iterator<Item = &'a Relation> + use<'w, 'a> {
        self.context.catalog.relations.values().filter(|r| words.relations.contains(&r.name.name))
    }

    /// True unless a built-in function of this name may not be called.
    fn builtin(&self, name: &str) -> bool {
        let mut all = self.context.catalog.functions.get(name).into_iter().flatten();
        let known = || {
            builtin_allowed(name) || SEQUENCES.contains(&name) || (self.of_table && allowed_alone(None, name))
        };
        name != "execute" && (!all.any(|f| f.schema == "pg_catalog") || known())
    }

    /// A call by this name, in whatever schema.
    fn call(&mut self, name: &str) -> Option<String> {
        if !self.builtin(name) {
            return Some(name.to_owned());
        }
        let context = self.context;
        for function in context.catalog.functions.get(name).into_iter().flatten() {
            let helper = function.schema == "information_schema" && name.starts_with("_pg_");
            let qualified = QualifiedName::new(function.schema.as_str(), name);
            if function.schema == "pg_catalog" || helper || context.role.functions.contains(&qualified) {
                continue;
            }
            let code = context.catalog.own_code.function(function.oid).map(|f| &f.code);
            let refused = match code {
                Some(Code::Compiled(immutable)) => {
                    let lower = name.to_ascii_lowercase();
                    let harmless = *immutable || HARMLESS_COMPILED.iter().any(|p| lower.starts_with(p));
                    (!harmless).then(|| qualified.to_string())
                }
                Some(Code::Words(_) | Code::Opaque) | None => self.function(function.oid),
            };
            if refused.is_some() {
                return refused;
            }
        }
        None
    }

    /// Operators: those whose token is a built-in operator's, too, where one of their types can be met.
    fn operators(&mut self, words: &Words, met: &HashSet<Oid>) -> Option<String> {
        let own = &self.context.catalog.own_code;
        for (token, all) in words.operators.iter().filter_map(|t| own.operators.get_key_value(t)) {
            for operator in all {
                let mut operands = operator.operands().iter().filter(|t| **t >= FIRST_NORMAL_OID).peekable();
                let meant = operands.peek().is_none()
                    || !own.builtin_operators.contains(token)
                    || operands.any(|t| met.contains(t));
                if meant && let Some(refused) = operator.functions.iter().find_map(|f| self.function(*f)) {
                    return Some(refused);
                }
            }
        }
        None
    }

    /// Casts between types that are met. One between built-in types is judged wherever it can be reached.
    fn casts(&mut self, met: &HashSet<Oid>) -> Option<String> {
        let own = &self.context.catalog.own_code;
        let can = |t: Oid| t < FIRST_NORMAL_OID || met.contains(&t);
        own.casts.iter().filter(|c| can(c.from) && can(c.to)).find_map(|c| self.function(c.function))
    }

    /// Domains, and types with functions of their own.
    fn types(&mut self, met: &HashSet<Oid>) -> Option<String> {
        let own = &self.context.catalog.own_code;
        for oid in met {
            // Its own constraints may call what is judged here.
            if self.seen_types.contains(oid) {
                continue;
            }
            self.seen_types.push(*oid);
            let of_domain = own.domains.get(oid).into_iter().flatten().find_map(|e| self.expression(e));
            let refused = of_domain
                .or_else(|| own.types.get(oid).into_iter().flatten().find_map(|f| self.function(*f)));
            if refused.is_some() {
                return refused;
            }
        }
        None
    }

    /// What writes to relations evaluate.
    fn written(&mut self, words: &Words) -> Option<String> {
        let own = &self.context.catalog.own_code;
        let writes = ["insert", "update", "merge", "delete"].iter().any(|w| words.all.contains(*w));
        if !writes {
            return None;
        }
        // What a trigger or a rule there runs is not known.
        let mut more = self.relations(words).filter(|r| r.has_triggers_or_rules);
        if let Some(relation) = more.next() {
            return Some(format!("a trigger or rule of {}", relation.name));
        }
        let written: Vec<Oid> = self.relations(words).map(|r| r.oid).collect();
        for oid in written.into_iter().filter(|oid| !self.seen_written.contains(oid)).collect::<Vec<_>>() {
            self.seen_written.push(oid);
            let code = own.relations.get(&oid).into_iter().flatten();
            if let Some(refused) = code.map(|c| &c.expression).find_map(|e| self.expression(e)) {
                return Some(refused);
            }
        }
        None
    }

    /// True when a word where a relation can stand is the name of one that the role may not read.
    fn closed_relation(&self, words: &Words) -> bool {
        self.relations(words).any(|r| self.closed(r))
    }

    fn closed(&self, relation: &Relation) -> bool {
        use RelationKind::{
            CompositeType, ForeignTable, Index, MaterializedView, Other, PartitionedTable, Sequence, Table,
            Toast, View,
        };
        let Relation { oid, name, kind, .. } = relation;
        if let Some(allowed) = system_relation_allowed(&name.schema, &name.name) {
            return !allowed;
        }
        match kind {
            Sequence | Index | CompositeType | Toast => return false,
            Table | PartitionedTable | View | MaterializedView | ForeignTable | Other => {}
        }
        let bound = self.context.bound;
        match bound.access(self.context.role, *oid) {
            Access::Free => has_protected_child(*oid, self.context),
            Access::Protected { .. } => true,
            Access::Denied(_) => {
                let known = bound.tables.contains_key(oid)
                    || bound.broken.contains(oid)
                    || bound.denied.contains_key(oid)
                    || bound.assignments.contains(oid);
                // A counter that only the function reads stands in no policy.
                let plain = matches!(kind, Table | PartitionedTable);
                let open = self.of_table && plain && !known && !has_protected_child(*oid, self.context);
                !open
            }
        }
    }
}
