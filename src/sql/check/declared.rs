//! The types that parameters have, as far as it is known before the server says so: what the client declared, and what
//! the places say where they stand (`variable_coerce_param_hook`, parse_param.c: the first one decides). Where two
//! places disagree, one of them converts, and in a generic plan on every row. Not here: what of it can fail.

use std::collections::{HashMap, HashSet};

use pg_query::protobuf::AExprKind;

use super::safe::is_comparison;
use super::types::{Ty, builtin, element_of_type_name, of_type_name};
use crate::catalog::{Column, Oid};
use crate::sql::column_names::{column_name, is_star};
use crate::sql::resolve::{Context, Resolution, resolve_name};
use crate::sql::tree::Node;

/// `pg_type.dat`: number, number of the array, name.
const BUILTIN: [(Oid, Oid, &str); 24] = [
    (16, 1000, "bool"),
    (17, 1001, "bytea"),
    (18, 1002, "\"char\""),
    (19, 1003, "name"),
    (20, 1016, "int8"),
    (21, 1005, "int2"),
    (23, 1007, "int4"),
    (25, 1009, "text"),
    (26, 1028, "oid"),
    (700, 1021, "float4"),
    (701, 1022, "float8"),
    (790, 791, "money"),
    (869, 1041, "inet"),
    (1042, 1014, "bpchar"),
    (1043, 1015, "varchar"),
    (1082, 1182, "date"),
    (1083, 1183, "time"),
    (1114, 1115, "timestamp"),
    (1184, 1185, "timestamptz"),
    (1186, 1187, "interval"),
    (1266, 1270, "timetz"),
    (1700, 1231, "numeric"),
    (2950, 2951, "uuid"),
    (3802, 3807, "jsonb"),
];

/// `unknown` of `pg_type.dat`: the server finds the type, as where none is declared.
const UNKNOWN: Oid = 705;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterType {
    /// Of its elements, if it is an array.
    ty: Ty,
    array: bool,
    /// `real`, which has no room for every `double precision`.
    real: bool,
    /// Which one, where it is one of the database's own; zero for the others.
    own: Oid,
}

impl ParameterType {
    /// As a client declares it by its number; `None` where that leaves it to the server.
    pub fn of_oid(oid: Oid) -> Option<Self> {
        if matches!(oid, 0 | UNKNOWN) {
            return None;
        }
        let found = BUILTIN.iter().find(|(one, array, _)| *one == oid || *array == oid);
        Some(found.map_or(Self::new(Ty::Unknown, false, ""), |(one, _, name)| {
            Self::new(builtin(name), *one != oid, name)
        }))
    }

    /// As the types of PREPARE declare it; `None` where that leaves it to the server.
    pub(crate) fn of_name(name: &Node, context: &Context<'_>) -> Option<Self> {
        let last = name.names("names").last().copied().unwrap_or_default();
        (last != "unknown").then(|| Self::of(name, context))
    }

    fn of(name: &Node, context: &Context<'_>) -> Self {
        let last = name.names("names").last().copied().unwrap_or_default();
        let array = name.has("array_bounds");
        let ty = match of_type_name(name, context.catalog) {
            Ty::Array => element_of_type_name(name, context.catalog),
            ty => ty,
        };
        let own = match context.catalog.own_code.type_names.get(last).map(Vec::as_slice) {
            Some([one]) if ty == Ty::Enum => one.oid,
            _ => 0,
        };
        Self { own, ..Self::new(ty, array, last) }
    }

    /// As `format_type` spells it.
    fn of_column(column: &Column, context: &Context<'_>) -> Self {
        if context.catalog.is_enum(column) {
            return Self { own: column.type_oid, ..Self::new(Ty::Enum, false, "") };
        }
        let name = context.catalog.acts_as(column).unwrap_or_default();
        let element = name.strip_suffix("[]");
        let name = element.unwrap_or(name);
        Self::new(builtin(name), element.is_some(), name)
    }

    fn new(ty: Ty, array: bool, name: &str) -> Self {
        let ty = if ty == Ty::Decimal { Ty::Numeric } else { ty };
        Self { ty, array, real: matches!(name, "float4" | "real"), own: 0 }
    }

    /// True where it is known, and tells the type from every other.
    fn is_known(self) -> bool {
        !matches!(self.ty, Ty::Unknown | Ty::Array) && (self.ty != Ty::Enum || self.own != 0)
    }

    /// True when every value of it can be cast to `to`.
    pub(super) fn fits(self, to: Self) -> bool {
        let moment = |ty| matches!(ty, Ty::Date | Ty::Timestamp | Ty::Timestamptz);
        if !self.is_known() || !to.is_known() {
            return false;
        }
        if self == to {
            return true;
        }
        let narrow = to.real && !matches!(self.ty, Ty::Int(_));
        if self.array || to.array || narrow || (moment(self.ty) && moment(to.ty)) {
            return false;
        }
        super::total::total_cast(self.ty, to.ty)
    }

    /// True when it stands beside what has this type, or becomes one with it, and neither is converted to what has no
    /// room for every value of it.
    pub(super) fn goes_beside(self, ty: Ty) -> bool {
        match ty {
            _ if !self.is_known() => false,
            Ty::Literal | Ty::Number | Ty::Given => true,
            Ty::Numeric | Ty::Decimal => matches!(self.ty, Ty::Int(_) | Ty::Numeric),
            Ty::Float => matches!(self.ty, Ty::Int(_) | Ty::Float),
            Ty::Int(_) => matches!(self.ty, Ty::Int(_) | Ty::Numeric | Ty::Float),
            Ty::Unknown | Ty::Array | Ty::Enum => false,
            Ty::Other("oid") => false,
            ty => self.ty == ty,
        }
    }

    pub(super) fn ty(self) -> Ty {
        if self.array { Ty::Array } else { self.ty }
    }
}

/// Where a text's parameters come from.
#[derive(Debug, Clone, Copy)]
pub enum ParameterSource<'a> {
    /// They stand for constants of the client's text, whole numbers and texts.
    Constants,
    /// The client's, declared to be these by number from one on; `None`, or none, leaves it to the server.
    Client(&'a [Option<ParameterType>]),
}

impl ParameterSource<'_> {
    /// Of a client that declares nothing.
    pub const UNDECLARED: ParameterSource<'static> = ParameterSource::Client(&[]);

    /// How many the client declared.
    pub(crate) fn count(self) -> u16 {
        match self {
            ParameterSource::Constants => 0,
            ParameterSource::Client(declared) => u16::try_from(declared.len()).unwrap_or(u16::MAX),
        }
    }
}

/// What is known of a parameter's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// It is this one.
    Is(ParameterType),
    /// Each of its places casts it to this one, and so it is this one.
    Cast(Box<Node>),
    /// It stands in one place, which gives it what it needs.
    Placed,
    /// Its places may disagree.
    Unclear,
}

/// The places where a parameter stands.
#[derive(Debug, Default)]
struct Places<'n> {
    casts: Vec<&'n Node>,
    /// Beside columns of these names; true where it is an array of such.
    beside: Vec<(&'n str, bool)>,
    /// Where INSERT and UPDATE store it: it gets the type of the column (transformAssignedExpr, parse_target.c), if that
    /// is known.
    stored: Vec<Option<ParameterType>>,
    others: usize,
}

/// What a statement's parameters are.
pub(super) fn known(
    root: &Node,
    context: &Context<'_>,
    declared: &[Option<ParameterType>],
) -> HashMap<i64, Known> {
    let mut statement = Statement {
        context,
        places: HashMap::new(),
        relations: Vec::new(),
        names: HashSet::new(),
        seen: HashSet::new(),
        strange: false,
    };
    statement.look(root);
    let type_of = |n: &i64| usize::try_from(*n - 1).ok().and_then(|at| *declared.get(at)?);
    let known = |n: &i64, places: &Places<'_>| match (type_of(n), places.casts.as_slice()) {
        (Some(declared), _) => Known::Is(declared),
        (None, [first, rest @ ..])
            if places.beside.is_empty()
                && places.stored.is_empty()
                && places.others == 0
                && rest.iter().all(|c| c == first) =>
        {
            Known::Cast(Box::new((*first).clone()))
        }
        (None, casts) if casts.len() + places.beside.len() + places.stored.len() + places.others == 1 => {
            Known::Placed
        }
        _ => statement.agreed(places).map_or(Known::Unclear, Known::Is),
    };
    statement.places.iter().map(|(n, places)| (*n, known(n, places))).collect()
}

/// A statement as it is walked through.
struct Statement<'s> {
    context: &'s Context<'s>,
    places: HashMap<i64, Places<'s>>,
    relations: Vec<Oid>,
    /// Names of columns that are not those of relations.
    names: HashSet<String>,
    /// Parameters that are stored.
    seen: HashSet<*const Node>,
    /// There are columns of which not even the names are known.
    strange: bool,
}

impl<'s> Statement<'s> {
    fn at(&mut self, parameter: &Node) -> &mut Places<'s> {
        self.places.entry(parameter.int("number")).or_default()
    }

    fn look(&mut self, node: &'s Node) {
        match node.kind {
            "ParamRef" if self.seen.contains(&std::ptr::from_ref(node)) => {}
            "ParamRef" => self.at(node).others += 1,
            "InsertStmt" | "UpdateStmt" => self.stores(node),
            "TypeCast" => {
                if let (Some(arg), Some(name)) =
                    (node.node("arg").filter(|a| a.kind == "ParamRef"), node.node("type_name"))
                {
                    self.at(arg).casts.push(name);
                    return;
                }
            }
            // It says nothing of the type.
            "NullTest" if node.node("arg").is_some_and(|a| a.kind == "ParamRef") => return,
            "AExpr" if self.compares(node) => return,
            "RangeVar" => self.relation(node),
            "RangeFunction" | "RangeTableFunc" | "RangeTableFuncCol" | "JsonTable" => self.strange = true,
            "Alias" => {
                self.names.insert(node.str("aliasname").to_owned());
                self.names.extend(node.names("colnames").into_iter().map(str::to_owned));
            }
            "CommonTableExpr" => {
                self.names.extend(node.names("aliascolnames").into_iter().map(str::to_owned))
            }
            "ResTarget" => self.target(node),
            _ => {}
        }
        node.children().into_iter().for_each(|child| self.look(child));
    }

    /// Notes the parameters that a statement stores as they are.
    fn stores(&mut self, node: &'s Node) {
        let Some(target) = node.node("relation") else { return };
        let schema = Some(target.str("schemaname")).filter(|s| !s.is_empty());
        let found = resolve_name(self.context.catalog, self.context.namespace, schema, target.str("relname"));
        let [Resolution::User(oid)] = found.as_slice() else { return };
        let Some(relation) = self.context.catalog.relation(*oid) else { return };
        let named: Vec<&str> = node.nodes("cols").map(|c| c.str("name")).collect();
        let all = || relation.columns.iter().map(|c| c.name.as_str()).collect();
        let columns: Vec<&str> = if named.is_empty() { all() } else { named };
        let rows = node.node("select_stmt").into_iter().flat_map(|s| s.nodes("values_lists"));
        let mut stored: Vec<(&'s Node, Option<&str>)> = rows
            .flat_map(|row| row.nodes("items").enumerate())
            .map(|(at, item)| (item, columns.get(at).copied()))
            .collect();
        let sets = match node.kind {
            "UpdateStmt" => Some(node),
            _ => node.node("on_conflict_clause"),
        };
        for set in sets.into_iter().flat_map(|s| s.nodes("target_list")) {
            let plain = set.list("indirection").is_empty();
            stored.extend(set.node("val").map(|value| (value, Some(set.str("name")).filter(|_| plain))));
        }
        for (item, column) in stored.into_iter().filter(|(item, _)| item.kind == "ParamRef") {
            let column = column.and_then(|name| relation.column(name));
            let ty = column.map(|c| ParameterType::of_column(c, self.context));
            self.at(item).stored.push(ty);
            self.seen.insert(std::ptr::from_ref(item));
        }
    }

    fn relation(&mut self, node: &Node) {
        let schema = Some(node.str("schemaname")).filter(|s| !s.is_empty());
        for found in resolve_name(self.context.catalog, self.context.namespace, schema, node.str("relname")) {
            match found {
                Resolution::User(relation) => self.relations.push(relation),
                Resolution::System(_) | Resolution::Temporary => self.strange = true,
                // A WITH query, whose columns are named where it is.
                Resolution::Unknown => {}
            }
        }
    }

    fn target(&mut self, node: &Node) {
        let Some(value) = node.node("val").filter(|value| !is_star(value)) else { return };
        let own = (value.kind == "ColumnRef").then(|| value.names("fields").last().copied()).flatten();
        let given = Some(node.str("name")).filter(|name| !name.is_empty());
        if own.is_some() && given.is_none_or(|given| own == Some(given)) {
            return;
        }
        let figured = || column_name(value, self.context.catalog.server_version);
        match given.map(str::to_owned).or_else(figured) {
            Some(name) => _ = self.names.insert(name),
            None => self.strange = true,
        }
    }

    /// Notes the parameters of a comparison of a column with nothing but such.
    fn compares(&mut self, node: &'s Node) -> bool {
        use AExprKind as K;
        let name = node.names("name");
        let kind = i32::try_from(node.int("kind")).ok().and_then(|k| K::try_from(k).ok());
        let (Some(kind), Some(left), Some(right)) = (kind, node.node("lexpr"), node.node("rexpr")) else {
            return false;
        };
        let ([op] | ["pg_catalog", op]) = name.as_slice() else { return false };
        let own = &self.context.catalog.own_code;
        let between =
            matches!(kind, K::AexprBetween | K::AexprNotBetween | K::AexprBetweenSym | K::AexprNotBetweenSym);
        let meant = |op: &str| is_comparison(op) && !own.redefines(op);
        if !(if between { [">=", "<="].iter().all(|op| meant(op)) } else { meant(op) }) {
            return false;
        }
        let (column, others, array): (&Node, Vec<&'s Node>, bool) = match kind {
            K::AexprOp | K::AexprDistinct | K::AexprNotDistinct if left.kind == "ColumnRef" => {
                (left, vec![right], false)
            }
            K::AexprOp | K::AexprDistinct | K::AexprNotDistinct => (right, vec![left], false),
            K::AexprIn
            | K::AexprBetween
            | K::AexprNotBetween
            | K::AexprBetweenSym
            | K::AexprNotBetweenSym => (left, right.nodes("items").collect(), false),
            K::AexprOpAny | K::AexprOpAll => (left, vec![right], true),
            _ => return false,
        };
        let Some(name) =
            column.names("fields").last().copied().filter(|_| column.kind == "ColumnRef" && !is_star(column))
        else {
            return false;
        };
        if !others.iter().all(|o| o.kind == "ParamRef") {
            return false;
        }
        for parameter in others {
            self.at(parameter).beside.push((name, array));
        }
        true
    }

    /// The one type that all places agree on.
    fn agreed(&self, places: &Places<'_>) -> Option<ParameterType> {
        let casts = places.casts.iter().map(|name| Some(ParameterType::of(name, self.context)));
        let columns = places.beside.iter().map(|(name, array)| {
            let ty = self.column(name)?;
            match (ty.array, array) {
                (false, true) => Some(ParameterType { array: true, ..ty }),
                (_, false) => Some(ty),
                (true, true) => None,
            }
        });
        let mut all = casts.chain(columns).chain(places.stored.iter().copied());
        let first = all.next()??;
        (places.others == 0 && first.is_known() && all.all(|ty| ty == Some(first))).then_some(first)
    }

    /// The type of every column of this name.
    fn column(&self, name: &str) -> Option<ParameterType> {
        // VALUES call theirs so.
        let numbered = name.strip_prefix("column").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if self.strange || numbered || self.names.contains(name) {
            return None;
        }
        let relations = self.relations.iter().map(|oid| self.context.catalog.relation(*oid));
        let mut types = Vec::new();
        for relation in relations {
            types.extend(relation?.column(name).map(|c| ParameterType::of_column(c, self.context)));
        }
        types.first().copied().filter(|first| types.iter().all(|ty| ty == first))
    }
}
