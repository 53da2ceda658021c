//! Whole queries: plain, grouped, with windows, set operations, WITH; and the statement around them.

use super::{Column, Item, Leaf, Made, Maker, Query, Scope};
use crate::schema::Quirk;
use crate::sql::{Kind, Node, Ty, Value, sql};

/// A query that may still get an ORDER BY.
struct Open {
    made: Made,
    /// ORDER BY with a total order of its rows; by ordinals unless given.
    order: Option<String>,
    /// It has one already.
    ordered: bool,
}

impl Maker {
    pub(super) fn statement(&mut self) -> Query {
        let with = if self.chance(0.3) { Some(self.with(2)) } else { None };
        let open = self.open(None, 2, &[], true);
        let comparable = open.made.columns.iter().all(|c| c.ty != Ty::Json);
        let mut ordered = open.ordered;
        let mut tail = None;
        if !ordered && self.chance(0.75) {
            let by = match &open.order {
                Some(order) if !order.is_empty() => Some(order.clone()),
                Some(_) => None,
                None if comparable => Some(self.ordinals(open.made.columns.len())),
                None => None,
            };
            ordered = by.is_some();
            tail = by.map(|by| {
                let limit = self.limit(&open.made.node);
                sql!(Kind::Plain; " ORDER BY ", by, limit)
            });
        }
        let tail = tail.unwrap_or_else(|| sql!(Kind::Plain;));
        Query { node: sql!(Kind::Plain; Node::maybe(with), open.made.node, tail), ordered }
    }

    /// `1, 2 DESC ...`
    fn ordinals(&mut self, number: usize) -> String {
        let all: Vec<String> = (1..=number)
            .map(|i| format!("{i}{}", self.one(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"])))
            .collect();
        all.join(", ")
    }

    fn limit(&mut self, of: &Node) -> Node {
        if self.chance(0.6) {
            return sql!(Kind::Plain;);
        }
        let count = self.plain_limit();
        Node::maybe(Some(match self.below(5) {
            0 | 1 => sql!(Kind::Plain; " LIMIT ", count),
            2 => sql!(Kind::Plain; " LIMIT ", count, " OFFSET 1"),
            3 => sql!(Kind::Plain; " OFFSET 2"),
            // PostgreSQL asks an index for min and max with the query's own WITH TIES, and gets several rows (21000).
            _ if ["min(", "max(", "every(", "bool_and(", "bool_or("]
                .iter()
                .any(|f| of.text().contains(f)) =>
            {
                sql!(Kind::Plain; " FETCH FIRST 2 ROWS ONLY")
            }
            _ => sql!(Kind::Plain; " FETCH FIRST 2 ROWS WITH TIES"),
        }))
    }

    fn plain_limit(&mut self) -> Node {
        let text = Some(self.one(&["0", "1", "2", "3"]).to_owned());
        let param = self.chance(0.5);
        let mut node = sql!(Kind::Expr(Ty::Int); Value { ty: Ty::Int, text, param });
        if self.chance(0.1) && self.room > 0 {
            let (from, _) = self.base();
            node = sql!(Kind::Expr(Ty::Int); "(SELECT count(*) FROM ", from, ")");
        }
        node
    }

    fn with(&mut self, depth: u32) -> Node {
        let mut members = Vec::new();
        let mut recursive = false;
        for _ in 0..1 + usize::from(self.chance(0.4)) {
            let alias = self.alias("w");
            if self.chance(0.2) {
                recursive = true;
                members.push(self.recursive(&alias));
                continue;
            }
            let made = self.query(None, depth - 1, &[]);
            let how = self.one(&["AS (", "AS (", "AS MATERIALIZED (", "AS NOT MATERIALIZED ("]);
            members.push(sql!(Kind::Plain; format!("{alias} {how}"), made.node, ")"));
            let order = made.columns.iter().map(|c| c.name.clone()).collect();
            self.ctes.push(Item { alias, columns: made.columns, order, table: false });
        }
        let word = if recursive { "WITH RECURSIVE " } else { "WITH " };
        sql!(Kind::Plain; word, Node::list(", ", members), " ")
    }

    /// A recursion over a key, three steps at most.
    fn recursive(&mut self, alias: &str) -> Node {
        let (first, first_item) = self.base();
        let (next, next_item) = self.base();
        let of = |item: &Item| Scope {
            leaves: item.leaves().collect(),
            items: vec![item.clone()],
            ..Scope::default()
        };
        let (from, to) = (of(&first_item), of(&next_item));
        let (start, seek, step) =
            (self.simple(Ty::Int, &from), self.simple(Ty::Int, &to), self.simple(Ty::Int, &to));
        let condition = self.condition(1, &from);
        let further = self.condition(1, &to);
        let all = self.one(&["", "", " ALL"]);
        self.ctes.push(Item {
            alias: alias.to_owned(),
            columns: ["a", "b"]
                .map(|n| Column { name: n.to_owned(), ty: Ty::Int, quirk: Quirk::None })
                .into(),
            order: vec!["a".to_owned(), "b".to_owned()],
            table: false,
        });
        sql!(Kind::Plain;
            format!("{alias}(a, b) AS (SELECT "), start, ", 1 FROM ", first, " WHERE ", condition,
            format!(" UNION{all} SELECT "), step, format!(", r.b + 1 FROM {alias} r JOIN "), next,
            " ON ", seek, " = r.a WHERE r.b < 3 AND ", further, ")")
    }

    /// A query with these column types, or any. Its columns have names, but no order.
    pub(super) fn query(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf]) -> Made {
        let before = self.ctes.len();
        let with = if depth > 0 && self.chance(0.05) { Some(self.with(1)) } else { None };
        let Open { mut made, ordered, order } = self.open(types, depth, outer, false);
        if !ordered && order.is_none() && self.chance(0.15) {
            let by = self.ordinals(made.columns.len());
            let limit = self.limit(&made.node);
            made.node =
                sql!(Kind::Query; made.node, Node::maybe(Some(sql!(Kind::Plain; " ORDER BY ", by, limit))));
        }
        if let Some(with) = with {
            self.ctes.truncate(before);
            made.node = sql!(Kind::Query; with, made.node);
        }
        made
    }

    fn open(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf], top: bool) -> Open {
        let as_is = |made| Open { made, order: None, ordered: false };
        match self.below(100) {
            0..=13 if depth > 0 && self.room > 0 => as_is(self.set_operation(types, depth, outer)),
            14..=39 => as_is(self.grouped(types, depth, outer)),
            40..=51 => as_is(self.windows(types, depth, outer)),
            52..=57 => self.distinct_on(types, depth, outer),
            58..=67 if types.is_none() => self.star(depth, outer, top),
            68..=69 if depth > 0 => as_is(self.values_query(types)),
            _ => as_is(self.plain(types, depth, outer, top)),
        }
    }

    /// The wanted types, or some that the scope has columns of.
    fn types_of(&mut self, types: Option<&[Ty]>, scope: &Scope) -> Vec<Ty> {
        match types {
            Some(types) => types.to_vec(),
            None => (0..1 + self.below(3)).map(|_| self.fitting_type(scope)).collect(),
        }
    }

    fn named(&mut self, items: Vec<(Node, Ty, Quirk)>) -> (Node, Vec<Column>) {
        let mut columns = Vec::new();
        let mut list = Vec::new();
        for (node, ty, quirk) in items {
            let name = self.alias("k");
            list.push(sql!(Kind::Plain; node, format!(" AS {name}")));
            columns.push(Column { name, ty, quirk });
        }
        (Node::list(", ", list), columns)
    }

    /// An item of a select list; a bare column keeps what is known of it.
    fn target(&mut self, ty: Ty, scope: &Scope) -> (Node, Ty, Quirk) {
        let fitting: Vec<&Leaf> = scope.leaves.iter().filter(|l| l.ty == ty).collect();
        if !fitting.is_empty() && self.chance(0.5) {
            let leaf = fitting[self.below(fitting.len())];
            return (leaf.node.clone(), ty, leaf.quirk);
        }
        (self.expression(ty, 2, scope), ty, Quirk::None)
    }

    fn plain(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf], top: bool) -> Made {
        let (from, scope) = self.sources(depth, outer);
        let types = self.types_of(types, &scope);
        let mut items: Vec<_> = types.iter().map(|ty| self.target(*ty, &scope)).collect();
        let distinct = self.one(&["", "", "", "DISTINCT "]);
        if top && distinct.is_empty() && self.chance(0.1) {
            items.push((self.expression(Ty::Json, 1, &scope), Ty::Json, Quirk::None));
        }
        if distinct.is_empty() && self.chance(0.06) {
            let rows = match self.quirky(Quirk::NonZero, &scope) {
                Some(step) if self.chance(0.5) => {
                    sql!(Kind::Expr(Ty::Int); "generate_series(1, 3, ", step, ")")
                }
                _ => {
                    let array = self.simple(Ty::Ints, &scope);
                    sql!(Kind::Expr(Ty::Int); "unnest(", array, ")")
                }
            };
            if let Some(item) = items.iter_mut().find(|i| i.1 == Ty::Int) {
                *item = (rows, Ty::Int, Quirk::None);
            }
        }
        let (list, columns) = self.named(items);
        Made { node: sql!(Kind::Query; "SELECT ", distinct, list, from), columns }
    }

    /// `SELECT *` and `SELECT t.*`.
    fn star(&mut self, depth: u32, outer: &[Leaf], top: bool) -> Open {
        let (from, scope) = self.sources(depth, outer);
        let at = self.below(scope.items.len());
        let item = scope.items[at].clone();
        let order = Self::row_order(&scope.items);
        if top && self.chance(0.5) {
            let list = match self.below(3) {
                0 => "*".to_owned(),
                1 => format!("{}, {}.*", item.alias, item.alias),
                _ => item.alias.clone(),
            };
            let made = Made { node: sql!(Kind::Query; "SELECT ", list, from), columns: item.columns };
            return Open { made, order: Some(order), ordered: false };
        }
        let list = if scope.items.len() == 1 && self.chance(0.5) {
            "*".to_owned()
        } else {
            format!("{}.*", item.alias)
        };
        let made = Made { node: sql!(Kind::Query; "SELECT ", list, from), columns: item.columns };
        Open { made, order: Some(order), ordered: false }
    }

    fn grouped(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf]) -> Made {
        let (from, scope) = self.sources(depth, outer);
        let types = self.types_of(types, &scope);
        let mut keys: Vec<Leaf> = Vec::new();
        for _ in 0..[0, 1, 1, 1, 2, 2][self.below(6)] {
            let ty = self.fitting_type(&scope);
            let fitting: Vec<&Leaf> = scope.leaves.iter().filter(|l| l.ty == ty).collect();
            if !fitting.is_empty() && self.chance(0.7) {
                let leaf = fitting[self.below(fitting.len())].clone();
                keys.push(leaf);
            } else {
                let node = self.expression(ty, 1, &scope).fixed();
                // A constant key: PostgreSQL takes rows of a ROLLUP for sorted by it, where it is NULL in some.
                let text = node.text();
                if !scope.leaves.iter().any(|l| l.column && text.contains(&l.node.text())) {
                    continue;
                }
                // A bare number is an ordinal.
                if node.text().starts_with(|c: char| c.is_ascii_digit() || c == '\'')
                    || node.text().starts_with("NULL")
                {
                    continue;
                }
                keys.push(Leaf { node, ty, quirk: Quirk::None, column: false });
            }
        }
        let mut leaves = keys.clone();
        for _ in 0..1 + self.below(2) {
            let ty = if self.chance(0.6) { types[self.below(types.len())] } else { self.any_type() };
            leaves.push(self.aggregate(ty, &scope));
        }
        // Keys that are expressions cannot be referred to from a subquery.
        let groups = Scope { leaves, outer: outer.to_vec(), items: Vec::new(), grouped: true };
        let items: Vec<_> = types.iter().map(|ty| self.target(*ty, &groups)).collect();
        let mut list: Vec<Node> = keys.iter().map(|k| k.node.clone()).collect();
        let by = if list.is_empty() {
            sql!(Kind::Plain;)
        } else {
            // PostgreSQL takes rows for sorted by a key that a condition equates with a constant, too.
            let equated = from.text().contains(" = ");
            match self.below(10) {
                _ if equated => sql!(Kind::Plain; " GROUP BY ", Node::list(", ", list)),
                0 => sql!(Kind::Plain; " GROUP BY ROLLUP (", Node::list(", ", list), ")"),
                1 => sql!(Kind::Plain; " GROUP BY CUBE (", Node::list(", ", list), ")"),
                2 => {
                    let first = list.remove(0);
                    let rest = Node::list(", ", [vec![first.clone()], list].concat());
                    sql!(Kind::Plain; " GROUP BY GROUPING SETS ((", rest, "), (", first, "), ())")
                }
                _ => sql!(Kind::Plain; " GROUP BY ", Node::list(", ", list)),
            }
        };
        let having = self.chance(0.3).then(|| {
            let condition = self.condition(1, &groups);
            sql!(Kind::Plain; " HAVING ", condition)
        });
        let distinct = self.one(&["", "", "", "", "DISTINCT "]);
        let mut items = items;
        if self.chance(0.1)
            && let Some(item) = items.iter_mut().find(|i| i.1 == Ty::Key)
        {
            item.0 = self.window(Ty::Key, &groups);
        }
        let (list, columns) = self.named(items);
        Made { node: sql!(Kind::Query; "SELECT ", distinct, list, from, by, Node::maybe(having)), columns }
    }

    fn windows(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf]) -> Made {
        let (from, scope) = self.sources(depth, outer);
        let types = self.types_of(types, &scope);
        let mut items: Vec<_> = types
            .iter()
            .map(|ty| {
                if self.chance(0.5) {
                    (self.window(*ty, &scope), *ty, Quirk::None)
                } else {
                    self.target(*ty, &scope)
                }
            })
            .collect();
        if let Some(first) = items.first_mut() {
            first.0 = self.window(first.1, &scope);
            first.2 = Quirk::None;
        }
        let (list, columns) = self.named(items);
        Made { node: sql!(Kind::Query; "SELECT ", list, from), columns }
    }

    fn distinct_on(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf]) -> Open {
        let (from, scope) = self.sources(depth, outer);
        let types = self.types_of(types, &scope);
        let ty = self.fitting_type(&scope);
        let key = self.expression(ty, 1, &scope).fixed();
        let order = Self::row_order(&scope.items);
        let constant = key.text().starts_with(|c: char| c.is_ascii_digit());
        let items: Vec<_> = types.iter().map(|ty| self.target(*ty, &scope)).collect();
        let (list, columns) = self.named(items);
        if order.is_empty() || constant {
            let made = Made { node: sql!(Kind::Query; "SELECT ", list, from), columns };
            return Open { made, order: None, ordered: false };
        }
        let node = sql!(Kind::Query; "SELECT DISTINCT ON (", key.clone(), ") ", list, from, " ORDER BY ", key, ", ", order);
        Open { made: Made { node, columns }, order: None, ordered: true }
    }

    fn set_operation(&mut self, types: Option<&[Ty]>, depth: u32, outer: &[Leaf]) -> Made {
        let types = &self.types_of(types, &Scope::default());
        let arms: Vec<Made> = (0..2).map(|_| self.arm(types, depth, outer)).collect();
        let word = self.one(&[
            " UNION ",
            " UNION ALL ",
            " UNION ALL ",
            " INTERSECT ",
            " INTERSECT ALL ",
            " EXCEPT ",
            " EXCEPT ALL ",
        ]);
        let mut arms = arms.into_iter();
        let (Some(left), Some(right)) = (arms.next(), arms.next()) else {
            return self.plain(Some(types), 0, outer, false);
        };
        let columns = left.columns.into_iter().map(|c| Column { quirk: Quirk::None, ..c }).collect();
        let node = if self.chance(0.5) {
            sql!(Kind::Query; left.node, word, right.node)
        } else {
            sql!(Kind::Query; "(", left.node, ")", word, "(", right.node, ")")
        };
        Made { node, columns }
    }

    /// A query whose texts are of type text: other types of the arms would give equal values another look.
    fn arm(&mut self, types: &[Ty], depth: u32, outer: &[Leaf]) -> Made {
        let grouped = self.chance(0.25);
        let (from, mut scope) = self.sources(depth - 1, outer);
        if grouped {
            let leaves = types.iter().map(|ty| self.aggregate(*ty, &scope)).collect();
            scope = Scope { leaves, outer: outer.to_vec(), items: Vec::new(), grouped: true };
        }
        let items = types
            .iter()
            .enumerate()
            .map(|(i, ty)| {
                let node = if grouped { scope.leaves[i].node.clone() } else { self.target(*ty, &scope).0 };
                let node = if *ty == Ty::Text { sql!(Kind::Expr(*ty); "(", node, ")::text") } else { node };
                (node, *ty, Quirk::None)
            })
            .collect();
        let (list, columns) = self.named(items);
        Made { node: sql!(Kind::Query; "SELECT ", list, from), columns }
    }

    fn values_query(&mut self, types: Option<&[Ty]>) -> Made {
        let scope = Scope::default();
        let types = self.types_of(types, &scope);
        let rows = (0..2)
            .map(|_| {
                let cells = types.iter().map(|ty| self.expression(*ty, 1, &scope)).collect();
                sql!(Kind::Plain; "(", Node::list(", ", cells), ")")
            })
            .collect();
        let columns = types
            .iter()
            .enumerate()
            .map(|(i, ty)| Column { name: format!("column{}", i + 1), ty: *ty, quirk: Quirk::None })
            .collect();
        Made { node: sql!(Kind::Query; "VALUES ", Node::list(", ", rows)), columns }
    }
}
