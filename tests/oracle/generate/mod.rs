//! Random queries from a seed, typed, so that nearly all of them run: the constructs of the design's table of
//! lineage rules, nested two or three deep. What they give is determined by the rows alone: aggregates and limits
//! stand under a total order, nothing volatile is called. What may fail does so on hidden rows only.

mod aggregate;
mod condition;
mod expression;
mod from;
mod query;
mod sublink;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::schema::{Quirk, TableInfo, tables};
use crate::sql::{Kind, Node, Ty, Value, sql};

/// A whole statement and how its answer is compared.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) node: Node,
    /// The order of rows is given.
    pub(crate) ordered: bool,
}

/// Something an expression can be made of.
#[derive(Debug, Clone)]
struct Leaf {
    node: Node,
    ty: Ty,
    quirk: Quirk,
    /// A column, which may stand in a subquery.
    column: bool,
}

/// A column of a FROM item or of a query.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    ty: Ty,
    quirk: Quirk,
}

/// A FROM item.
#[derive(Debug, Clone)]
struct Item {
    alias: String,
    columns: Vec<Column>,
    /// Columns that tell its rows apart; all of them where nothing better is known.
    order: Vec<String>,
    /// A table, so that the alias alone is a row of its type.
    table: bool,
}

impl Item {
    fn leaves(&self) -> impl Iterator<Item = Leaf> + '_ {
        self.columns.iter().map(|c| Leaf {
            node: sql!(Kind::Expr(c.ty); format!("{}.{}", self.alias, c.name)),
            ty: c.ty,
            quirk: c.quirk,
            column: true,
        })
    }
}

/// What an expression may refer to.
#[derive(Debug, Clone, Default)]
struct Scope {
    leaves: Vec<Leaf>,
    /// Columns of queries around this one.
    outer: Vec<Leaf>,
    /// FROM items, for whole rows and total orders.
    items: Vec<Item>,
    /// The leaves are keys and aggregates of a group.
    grouped: bool,
}

impl Scope {
    /// What a subquery sees of this one.
    fn around(&self) -> Vec<Leaf> {
        let mut all: Vec<Leaf> = self.leaves.iter().filter(|l| l.column).cloned().collect();
        all.extend(self.outer.iter().cloned());
        all
    }
}

/// A query with its columns.
struct Made {
    node: Node,
    columns: Vec<Column>,
}

const TYPES: [Ty; 13] = [
    Ty::Int,
    Ty::Int,
    Ty::Key,
    Ty::Num,
    Ty::Text,
    Ty::Text,
    Ty::Float,
    Ty::Date,
    Ty::Stamp,
    Ty::Bool,
    Ty::Jsonb,
    Ty::Ints,
    Ty::State,
];

struct Maker {
    rng: StdRng,
    aliases: u32,
    ctes: Vec<Item>,
    tables: Vec<TableInfo>,
    /// How many FROM items may still be made.
    room: i32,
}

/// The query of a seed.
pub(crate) fn query(seed: u64) -> Query {
    let mut rng = StdRng::seed_from_u64(seed);
    let room = rng.random_range(1..=6);
    let mut maker = Maker { rng, aliases: 0, ctes: Vec::new(), tables: tables(), room };
    maker.statement()
}

/// A query and its three parts by a condition: where that is true, false, unknown.
pub(crate) fn parted(seed: u64) -> (Query, [Query; 3]) {
    let mut rng = StdRng::seed_from_u64(seed);
    let room = rng.random_range(1..=5);
    let mut maker = Maker { rng, aliases: 0, ctes: Vec::new(), tables: tables(), room };
    let (from, scope) = maker.trees(1, &[]);
    let list: Vec<Node> = (0..2)
        .map(|_| {
            let ty = maker.fitting_type(&scope);
            maker.expression(ty, 1, &scope).fixed()
        })
        .collect();
    let condition = maker.condition(2, &scope).fixed();
    let whole = sql!(Kind::Plain; "SELECT ", Node::list(", ", list), " FROM ", from);
    let of = |node: Node| Query { node, ordered: false };
    let parts = ["", "NOT ", "UNKNOWN"].map(|which| {
        let (before, after) = if which == "UNKNOWN" { ("(", ") IS NULL") } else { (which, "") };
        of(sql!(Kind::Plain; whole.clone(), " WHERE ", before, "(", condition.clone(), ")", after))
    });
    (of(whole), parts)
}

impl Maker {
    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.rng).copied().unwrap_or_default()
    }

    fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn any_type(&mut self) -> Ty {
        TYPES[self.below(TYPES.len())]
    }

    /// A type, mostly one that the scope has columns of.
    fn fitting_type(&mut self, scope: &Scope) -> Ty {
        match scope.leaves.choose(&mut self.rng).map(|l| l.ty) {
            Some(ty) if self.chance(0.8) && ty != Ty::Json => ty,
            _ => self.any_type(),
        }
    }

    /// A constant of a type, sometimes NULL, sometimes a parameter.
    fn constant(&mut self, ty: Ty) -> Node {
        let domain: &[&str] = match ty {
            Ty::Int => &["0", "1", "2", "3"],
            Ty::Key => &["1", "2", "3", "4", "1000", "2001"],
            Ty::Num => &["0.00", "1.00", "1.50", "10.25"],
            Ty::Text => &["", "a", "b", "c", "ab"],
            Ty::Float => &["0", "0.5", "1", "2.25"],
            Ty::Date => &["2020-01-01", "2020-02-29", "2019-12-31"],
            Ty::Stamp => &["2020-01-01 10:00+00", "2019-12-31 23:59+00"],
            Ty::Bool => &["true", "false"],
            Ty::Jsonb | Ty::Json => &["{\"n\": 1}", "[1]", "\"a\"", "{}"],
            Ty::Ints => &["{}", "{1,2}", "{0}"],
            Ty::Texts => &["{}", "{a,b}"],
            Ty::State => &["open", "held", "done"],
            Ty::Uuid => &["00000000-0000-0000-0000-000000000001"],
        };
        let text = if self.chance(0.07) { None } else { Some(self.one(domain).to_owned()) };
        let param = self.chance(0.5);
        sql!(Kind::Expr(ty); Value { ty, text, param })
    }

    /// A constant that is written out and not NULL.
    fn plain_constant(&mut self, ty: Ty) -> Node {
        loop {
            let node = self.constant(ty).fixed();
            if !node.text().starts_with("NULL") {
                return node;
            }
        }
    }

    fn leaf(&mut self, ty: Ty, scope: &Scope) -> Option<Node> {
        let outer = self.chance(0.15);
        let of = |leaves: &[Leaf]| leaves.iter().filter(|l| l.ty == ty).cloned().collect::<Vec<_>>();
        let mut fitting = of(if outer { &scope.outer } else { &scope.leaves });
        if fitting.is_empty() {
            fitting = of(&scope.leaves);
        }
        fitting.choose(&mut self.rng).map(|l| l.node.clone())
    }

    fn quirky(&mut self, quirk: Quirk, scope: &Scope) -> Option<Node> {
        let fitting: Vec<&Leaf> =
            scope.leaves.iter().chain(&scope.outer).filter(|l| l.quirk == quirk).collect();
        fitting.choose(&mut self.rng).map(|l| l.node.clone())
    }

    /// A leaf, or a constant where there is none.
    fn simple(&mut self, ty: Ty, scope: &Scope) -> Node {
        if self.chance(0.2) {
            return self.constant(ty);
        }
        match self.leaf(ty, scope) {
            Some(leaf) => leaf,
            None => self.constant(ty),
        }
    }
}
