//! FROM: tables, subqueries, CTEs, functions, VALUES, and joins of all kinds.

use rand::seq::IndexedRandom;

use super::{Column, Item, Leaf, Maker, Scope};
use crate::schema::Quirk;
use crate::sql::{Kind, Node, Ty, sql};

/// A join tree.
struct Joined {
    node: Node,
    items: Vec<Item>,
}

impl Joined {
    fn leaves(&self) -> Vec<Leaf> {
        self.items.iter().flat_map(Item::leaves).collect()
    }
}

impl Maker {
    /// FROM and WHERE, and what the rest of the query may refer to.
    pub(super) fn sources(&mut self, depth: u32, outer: &[Leaf]) -> (Node, Scope) {
        let (trees, scope) = self.trees(depth, outer);
        let condition = if self.chance(0.6) {
            let mut all = vec![self.condition(2, &scope)];
            if self.chance(0.4) {
                all.push(self.condition(2, &scope));
            }
            Some(sql!(Kind::Plain; " WHERE ", Node::list(" AND ", all)))
        } else {
            None
        };
        let from = sql!(Kind::Plain; " FROM ", trees, Node::maybe(condition));
        (from, scope)
    }

    /// A FROM list without the word.
    pub(super) fn trees(&mut self, depth: u32, outer: &[Leaf]) -> (Node, Scope) {
        let mut trees = Vec::new();
        let mut items: Vec<Item> = Vec::new();
        for _ in 0..if self.chance(0.2) { 2 } else { 1 } {
            let before: Vec<Leaf> = items.iter().flat_map(Item::leaves).collect();
            let number = [1, 1, 1, 2, 2, 2, 3][self.below(7)];
            let tree = self.tree(number, depth, outer, &before);
            trees.push(tree.node);
            items.extend(tree.items);
        }
        let scope = Scope {
            leaves: items.iter().flat_map(Item::leaves).collect(),
            outer: outer.to_vec(),
            items,
            grouped: false,
        };
        (Node::list(", ", trees), scope)
    }

    fn tree(&mut self, number: usize, depth: u32, outer: &[Leaf], before: &[Leaf]) -> Joined {
        let (node, item) = self.item(depth, outer, before);
        let mut tree = Joined { node, items: vec![item] };
        for _ in 1..number {
            if self.room <= 0 {
                break;
            }
            tree = self.join(tree, depth, outer, before);
        }
        if tree.items.len() > 1 && self.chance(0.15) {
            tree.node = sql!(Kind::From; "(", tree.node, ")");
        }
        tree
    }

    fn join(&mut self, left: Joined, depth: u32, outer: &[Leaf], before: &[Leaf]) -> Joined {
        let kind = self.one(&[
            "JOIN",
            "INNER JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "LEFT OUTER JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "CROSS JOIN",
        ]);
        let full = kind == "FULL JOIN";
        // What is LATERAL may see the left side only where that is not nullable.
        let seen: Vec<Leaf> = if full || kind == "RIGHT JOIN" {
            Vec::new()
        } else {
            before.iter().cloned().chain(left.leaves()).collect()
        };
        let right = if self.chance(0.15) && self.room > 1 {
            let inner = self.tree(2, depth, outer, &[]);
            if inner.items.len() > 1 {
                Joined { node: sql!(Kind::From; "(", inner.node, ")"), ..inner }
            } else {
                inner
            }
        } else {
            let (node, item) = self.item(depth, outer, &seen);
            Joined { node, items: vec![item] }
        };
        let (mut lead, mut tail) = (format!(" {kind} "), sql!(Kind::Plain;));
        if kind != "CROSS JOIN" {
            let shared = common(&left, &right);
            let natural = left.items.len() == 1
                && right.items.len() == 1
                && !shared.is_empty()
                && left.items[0].columns.iter().all(|a| {
                    right.items[0]
                        .columns
                        .iter()
                        .all(|b| a.name != b.name || (a.ty == b.ty && a.ty != Ty::Json))
                });
            if natural && self.chance(0.12) {
                lead = format!(" NATURAL{lead}");
            } else if !shared.is_empty() && self.chance(0.25) {
                let number = 1 + usize::from(self.chance(0.2));
                let names: Vec<&String> = shared.choose_multiple(&mut self.rng, number).collect();
                let names: Vec<Node> = names.into_iter().map(|n| sql!(Kind::Plain; n)).collect();
                tail = sql!(Kind::Plain; " USING (", Node::list(", ", names), ")");
            } else {
                match self.on(&left, &right, full, outer) {
                    Some(on) => tail = sql!(Kind::Plain; " ON ", on),
                    None if full => lead = " CROSS JOIN ".to_owned(),
                    None => tail = sql!(Kind::Plain; " ON true"),
                }
            }
        }
        let items = left.items.into_iter().chain(right.items).collect();
        Joined { node: sql!(Kind::From; left.node, lead, right.node, tail), items }
    }

    /// Mostly an equality of two columns, of keys where there are some.
    fn on(&mut self, left: &Joined, right: &Joined, full: bool, outer: &[Leaf]) -> Option<Node> {
        let rights = right.leaves();
        let pairs: Vec<(Leaf, Leaf)> = left
            .leaves()
            .into_iter()
            .flat_map(|a| {
                rights
                    .iter()
                    .filter(|b| b.ty == a.ty && a.ty != Ty::Json)
                    .map(|b| (a.clone(), b.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let keys: Vec<&(Leaf, Leaf)> = pairs
            .iter()
            .filter(|(a, b)| {
                a.ty == Ty::Key && a.node.text().split('.').nth(1) == b.node.text().split('.').nth(1)
            })
            .collect();
        let mut all = Vec::new();
        let chosen = if !keys.is_empty() && self.chance(0.5) {
            keys.choose(&mut self.rng).map(|p| (*p).clone())
        } else {
            pairs.choose(&mut self.rng).cloned()
        };
        if let Some((a, b)) = chosen
            && (full || self.chance(0.85))
        {
            all.push(sql!(Kind::Plain; a.node, " = ", b.node));
        } else if full {
            return None;
        }
        if all.is_empty() || self.chance(0.35) {
            let items: Vec<Item> = left.items.iter().chain(&right.items).cloned().collect();
            let leaves = items.iter().flat_map(Item::leaves).collect();
            let scope = Scope { leaves, outer: outer.to_vec(), items, grouped: false };
            all.push(self.condition(1, &scope));
        }
        Some(Node::list(" AND ", all))
    }

    /// A table under an alias.
    pub(super) fn base(&mut self) -> (Node, Item) {
        self.room -= 1;
        let table = self.below(self.tables.len());
        let alias = self.alias("t");
        let table = &self.tables[table];
        let columns: Vec<Column> = table
            .columns
            .iter()
            .map(|c| Column { name: c.name.to_owned(), ty: c.ty, quirk: c.quirk })
            .collect();
        let order = if table.unique.is_empty() {
            columns.iter().map(|c| c.name.clone()).collect()
        } else {
            table.unique.iter().map(|c| (*c).to_owned()).collect()
        };
        let text = format!("orc.{} {alias}", table.name);
        (sql!(Kind::From; text), Item { alias, columns, order, table: true })
    }

    fn item(&mut self, depth: u32, outer: &[Leaf], seen: &[Leaf]) -> (Node, Item) {
        let choice = self.below(100);
        if self.room <= 0 || depth == 0 || choice < 60 {
            if choice >= 50 && !self.ctes.is_empty() {
                return self.cte_reference();
            }
            return self.base();
        }
        match choice {
            60..=74 => self.subquery(depth, outer, "("),
            75..=82 if !self.ctes.is_empty() => self.cte_reference(),
            75..=85 if !seen.is_empty() => {
                let visible: Vec<Leaf> = outer.iter().chain(seen).cloned().collect();
                self.subquery(depth, &visible, "LATERAL (")
            }
            86..=88 => self.values(),
            89..=91 => {
                let alias = self.alias("g");
                let step = seen.iter().find(|l| l.quirk == Quirk::NonZero).map(|l| l.node.clone());
                let node = match step {
                    Some(step) => {
                        sql!(Kind::From; "generate_series(1, 3, ", step, format!(") AS {alias}(g)"))
                    }
                    None => sql!(Kind::From; format!("generate_series(1, 3) AS {alias}(g)")),
                };
                (node, function(alias, &[("g", Ty::Int)]))
            }
            92..=95 => {
                let alias = self.alias("u");
                let array = self.leaf(Ty::Ints, &Scope { leaves: seen.to_vec(), ..Scope::default() });
                let array = array.unwrap_or_else(|| self.plain_constant(Ty::Ints));
                if self.chance(0.3) {
                    let node =
                        sql!(Kind::From; "unnest(", array, format!(") WITH ORDINALITY AS {alias}(e, o)"));
                    return (node, function(alias, &[("e", Ty::Int), ("o", Ty::Key)]));
                }
                (
                    sql!(Kind::From; "unnest(", array, format!(") AS {alias}(e)")),
                    function(alias, &[("e", Ty::Int)]),
                )
            }
            96..=99 => {
                let Some(doc) = self.quirky(Quirk::Doc, &Scope { leaves: seen.to_vec(), ..Scope::default() })
                else {
                    return self.base();
                };
                let alias = self.alias("j");
                if self.chance(0.5) {
                    let node = sql!(Kind::From; "jsonb_each_text(", doc, format!(") AS {alias}(k, v)"));
                    return (node, function(alias, &[("k", Ty::Text), ("v", Ty::Text)]));
                }
                let node =
                    sql!(Kind::From; "jsonb_array_elements_text(", doc, format!("->'a') AS {alias}(v)"));
                (node, function(alias, &[("v", Ty::Text)]))
            }
            _ => self.base(),
        }
    }

    fn subquery(&mut self, depth: u32, outer: &[Leaf], open: &str) -> (Node, Item) {
        self.room -= 1;
        let made = self.query(None, depth - 1, outer);
        let alias = self.alias("s");
        let mut columns = made.columns;
        let mut names = String::new();
        if self.chance(0.15) {
            for (i, column) in columns.iter_mut().enumerate() {
                column.name = format!("x{i}");
            }
            names = format!("({})", columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", "));
        }
        let order = columns.iter().filter(|c| c.ty != Ty::Json).map(|c| c.name.clone()).collect();
        let node = sql!(Kind::From; open, made.node, format!(") AS {alias}{names}"));
        (node, Item { alias, columns, order, table: false })
    }

    fn cte_reference(&mut self) -> (Node, Item) {
        self.room -= 1;
        let at = self.below(self.ctes.len());
        let cte = self.ctes[at].clone();
        let alias = self.alias("c");
        (sql!(Kind::From; format!("{} AS {alias}", cte.alias)), Item { alias, ..cte })
    }

    fn values(&mut self) -> (Node, Item) {
        let alias = self.alias("v");
        let types = [[Ty::Int, Ty::Text], [Ty::Key, Ty::Date], [Ty::Text, Ty::Num]][self.below(3)];
        let rows = (0..2)
            .map(|_| {
                let (a, b) = (self.constant(types[0]), self.constant(types[1]));
                sql!(Kind::Plain; "(", a, ", ", b, ")")
            })
            .collect();
        let node = sql!(Kind::From; "(VALUES ", Node::list(", ", rows), format!(") AS {alias}(a, b)"));
        (node, function(alias, &[("a", types[0]), ("b", types[1])]))
    }
}

fn function(alias: String, columns: &[(&str, Ty)]) -> Item {
    let columns: Vec<Column> =
        columns.iter().map(|(n, ty)| Column { name: (*n).to_owned(), ty: *ty, quirk: Quirk::None }).collect();
    let order = columns.iter().map(|c| c.name.clone()).collect();
    Item { alias, columns, order, table: false }
}

/// Names of columns that both sides have once, of one type.
fn common(left: &Joined, right: &Joined) -> Vec<String> {
    let once = |side: &Joined, name: &str| {
        let mut found = side.items.iter().flat_map(|i| &i.columns).filter(|c| c.name == name);
        found.next().filter(|_| found.next().is_none()).map(|c| c.ty)
    };
    left.items
        .iter()
        .flat_map(|i| &i.columns)
        .filter(|c| c.ty != Ty::Json && once(left, &c.name).is_some() && once(right, &c.name) == Some(c.ty))
        .map(|c| c.name.clone())
        .collect()
}
