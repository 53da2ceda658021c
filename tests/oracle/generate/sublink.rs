//! Subqueries inside expressions, most of them correlated.

use rand::seq::IndexedRandom;

use super::{Item, Leaf, Maker, Scope};
use crate::schema::Quirk;
use crate::sql::{Kind, Node, Ty, sql};

const BOOL: Kind = Kind::Expr(Ty::Bool);

impl Maker {
    /// EXISTS, IN, ANY, ALL and their negations.
    pub(super) fn sublink(&mut self, scope: &Scope) -> Node {
        if self.room <= 0 {
            return self.condition(0, scope);
        }
        let ty = [Ty::Int, Ty::Key, Ty::Text, Ty::Key, Ty::Num, Ty::Date][self.below(6)];
        match self.below(9) {
            0..=3 => {
                let word = if self.chance(0.5) { "EXISTS (" } else { "NOT EXISTS (" };
                let query = self.plain_subquery(None, scope);
                sql!(BOOL; "(", word, query, "))")
            }
            4 | 5 => {
                let a = self.simple(ty, scope);
                let query = self.plain_subquery(Some(ty), scope);
                let word = self.one(&[" IN (", " NOT IN (", " = ANY (", " = SOME ("]);
                sql!(BOOL; "(", a, word, query, "))")
            }
            6 | 7 => {
                let a = self.simple(ty, scope);
                let query = self.plain_subquery(Some(ty), scope);
                let op = self.one(&[" <> ALL (", " > ALL (", " <= ANY (", " < ALL (", " >= ANY ("]);
                sql!(BOOL; "(", a, op, query, "))")
            }
            _ => {
                let (a, b) = (self.simple(ty, scope), self.simple(Ty::Int, scope));
                let around = scope.around();
                let made = self.query(Some(&[ty, Ty::Int]), 0, &around);
                let word = self.one(&[" IN (", " NOT IN ("]);
                sql!(BOOL; "((", a, ", ", b, ")", word, made.node, "))")
            }
        }
    }

    /// One table with a condition that mostly compares it with the query around.
    fn plain_subquery(&mut self, ty: Option<Ty>, scope: &Scope) -> Node {
        let around = scope.around();
        if self.chance(0.25) {
            let types: Vec<Ty> = ty.into_iter().collect();
            return self.query(Some(if types.is_empty() { &[Ty::Int] } else { &types }), 1, &around).node;
        }
        let (from, inner) = self.table_with(&around);
        let condition = self.correlated(&inner);
        let list = match ty {
            Some(Ty::Key) if self.chance(0.5) => self.simple(Ty::Key, &inner),
            Some(ty) => self.expression(ty, 1, &inner),
            None => sql!(Kind::Plain; self.one(&["1", "*", ""])),
        };
        sql!(Kind::Query; "SELECT ", list, " FROM ", from, condition)
    }

    /// A table and a scope of it.
    fn table_with(&mut self, around: &[Leaf]) -> (Node, Scope) {
        let (from, item) = self.base();
        let scope = Scope {
            leaves: item.leaves().collect(),
            outer: around.to_vec(),
            items: vec![item],
            grouped: false,
        };
        (from, scope)
    }

    /// WHERE with, mostly, an equality with a column of a query around.
    fn correlated(&mut self, inner: &Scope) -> Node {
        let mut all = Vec::new();
        let of = |ty: Option<Ty>| -> Vec<(Node, Node)> {
            let own = inner.leaves.iter().filter(|a| ty.is_none_or(|ty| a.ty == ty));
            own.flat_map(|a| {
                inner.outer.iter().filter(|b| a.ty == b.ty).map(|b| (a.node.clone(), b.node.clone()))
            })
            .collect()
        };
        let mut pairs = of(None);
        if self.chance(0.4) {
            // Of keys, as a patient's row and what belongs to it.
            pairs = Some(of(Some(Ty::Key))).filter(|keys| !keys.is_empty()).unwrap_or(pairs);
        }
        if let Some((a, b)) = pairs.choose(&mut self.rng).cloned()
            && self.chance(0.75)
        {
            all.push(sql!(BOOL; "(", a, " = ", b, ")"));
        }
        if all.is_empty() || self.chance(0.5) {
            all.push(self.condition(1, inner));
        }
        Node::maybe(Some(sql!(Kind::Plain; " WHERE ", Node::list(" AND ", all))))
    }

    /// A subquery with at most one value, always the same.
    pub(super) fn scalar(&mut self, ty: Ty, scope: &Scope) -> Node {
        let kind = Kind::Expr(ty);
        if self.room <= 0 {
            return self.simple(ty, scope);
        }
        let (from, inner) = self.table_with(&scope.around());
        let unique = inner.leaves.iter().find(|l| l.quirk == Quirk::Unique).cloned();
        if let Some(unique) = unique
            && self.chance(0.4)
        {
            // More than one row, where hidden ones are counted.
            let value = self.expression(ty, 1, &inner);
            return sql!(kind; "(SELECT ", value, " FROM ", from, " WHERE ", unique.node, " = 's1')");
        }
        let condition = self.correlated(&inner);
        let alone = Scope { outer: Vec::new(), ..inner.clone() };
        match (ty, self.below(3)) {
            (Ty::Int, 0) => sql!(kind; "(SELECT count(*)::int FROM ", from, condition, ")"),
            (Ty::Key, 0) => sql!(kind; "(SELECT count(*) FROM ", from, condition, ")"),
            (Ty::Int | Ty::Key | Ty::Num | Ty::Text | Ty::Float | Ty::Date | Ty::Stamp, 0 | 1) => {
                let f = self.one(&["max", "min"]);
                let value = self.expression(ty, 1, &alone);
                sql!(kind; "(SELECT ", f, "(", value, ") FROM ", from, condition, ")")
            }
            _ => {
                let value = self.expression(ty, 1, &alone);
                let direction = self.one(&["", " DESC", " NULLS FIRST"]);
                let shown = value.clone().fixed();
                sql!(kind; "(SELECT ", shown, " FROM ", from, condition, " ORDER BY 1", direction, " LIMIT 1)")
            }
        }
    }

    /// `ARRAY(SELECT ...)`.
    pub(super) fn array_of(&mut self, ty: Ty, scope: &Scope) -> Node {
        let arrays = if ty == Ty::Int { Ty::Ints } else { Ty::Texts };
        if self.room <= 0 {
            return self.simple(arrays, scope);
        }
        let (from, inner) = self.table_with(&scope.around());
        let (value, condition) = (self.expression(ty, 1, &inner), self.correlated(&inner));
        let value = if ty == Ty::Text { sql!(Kind::Expr(ty); "(", value, ")::text") } else { value };
        sql!(Kind::Expr(arrays); "ARRAY(SELECT ", value, " FROM ", from, condition, " ORDER BY 1)")
    }

    /// Where a total order of the scope's rows is wanted: columns that tell them apart.
    pub(super) fn row_order(items: &[Item]) -> String {
        let columns: Vec<String> =
            items.iter().flat_map(|i| i.order.iter().map(|c| format!("{}.{c}", i.alias))).collect();
        columns.join(", ")
    }
}
