//! Aggregates and window functions, every one with a value that the rows determine.

use super::{Leaf, Maker, Scope};
use crate::schema::Quirk;
use crate::sql::{Kind, Node, Ty, sql};

impl Maker {
    /// An aggregate of this type over the scope's rows.
    pub(super) fn aggregate(&mut self, ty: Ty, scope: &Scope) -> Leaf {
        // With columns of a query around alone, it would be that query's aggregate.
        let rows = Scope { outer: Vec::new(), ..scope.clone() };
        let kind = Kind::Expr(ty);
        let filter = self.chance(0.25).then(|| {
            let condition = self.condition(1, &rows);
            sql!(Kind::Plain; " FILTER (WHERE ", condition, ")")
        });
        let filter = Node::maybe(filter);
        let mut quirk = Quirk::None;
        let any = [Ty::Int, Ty::Text, Ty::Key, Ty::Date, Ty::Jsonb][self.below(5)];
        let node = match (ty, self.below(4)) {
            (Ty::Int | Ty::Key, 0) => {
                let a = self.expression(any, 1, &rows);
                let distinct = self.one(&["", "DISTINCT "]);
                let cast = if ty == Ty::Int { "::int" } else { "" };
                sql!(kind; "count(", distinct, a, ")", filter, cast)
            }
            (Ty::Key, 1 | 2) => {
                let a = self.expression(Ty::Int, 1, &rows);
                sql!(kind; "sum(", a, ")", filter)
            }
            (Ty::Key, _) => sql!(kind; "count(*)", filter),
            (Ty::Int, 1) => {
                let a = self.simple(Ty::Int, &rows);
                let by = self.one(&["0.5", "0", "1"]);
                sql!(kind; "percentile_disc(", by, ") WITHIN GROUP (ORDER BY ", a, ")", filter)
            }
            (Ty::Int, 2) => match self.quirky(Quirk::NonZero, &rows) {
                Some(a) => {
                    quirk = Quirk::NonZero;
                    sql!(kind; "max(", a, ")", filter)
                }
                None => sql!(kind; "count(*)", filter, "::int"),
            },
            (Ty::Num, 0) => {
                let of = [Ty::Int, Ty::Num][self.below(2)];
                let a = self.expression(of, 1, &rows);
                sql!(kind; "round(avg(", a, ")", filter, ", 2)")
            }
            (Ty::Num, 1 | 2) => {
                let a = self.expression(Ty::Num, 1, &rows);
                let distinct = self.one(&["", "", "DISTINCT "]);
                sql!(kind; "sum(", distinct, a, ")", filter)
            }
            (Ty::Text, 0 | 1) => {
                let a = self.expression(Ty::Text, 1, &rows).fixed();
                let distinct = self.one(&["", "", "DISTINCT "]);
                sql!(kind; "string_agg(", distinct, "(", a.clone(), ")::text, ',' ORDER BY (", a, ")::text)", filter)
            }
            (Ty::Bool, _) => {
                let a = self.condition(1, &rows);
                let f = self.one(&["bool_and", "bool_or", "every"]);
                sql!(kind; f, "(", a, ")", filter)
            }
            (Ty::Jsonb | Ty::Json, _) => {
                let a = self.expression(any, 1, &rows).fixed();
                let f = if ty == Ty::Json { "json_agg" } else { "jsonb_agg" };
                sql!(kind; f, "(", a.clone(), " ORDER BY ", a, ")", filter)
            }
            (Ty::Ints | Ty::Texts, _) => {
                let of = if ty == Ty::Ints { Ty::Int } else { Ty::Text };
                let a = self.expression(of, 1, &rows).fixed();
                let distinct = self.one(&["", "", "DISTINCT "]);
                let cast = of.sql();
                let direction = self.one(&["", " DESC", " NULLS FIRST"]);
                sql!(kind; "array_agg(", distinct, "(", a.clone(), ")::", cast, " ORDER BY (", a, ")::", cast, direction, ")", filter)
            }
            (Ty::State | Ty::Uuid, 0) | (Ty::Text, 2) | (Ty::Date, 0) => {
                let a = self.simple(ty, &rows);
                sql!(kind; "mode() WITHIN GROUP (ORDER BY ", a, ")", filter)
            }
            // There is no max(uuid) before version 18.
            (Ty::Uuid, _) => {
                let a = self.simple(ty, &rows);
                sql!(kind; "percentile_disc(0.5) WITHIN GROUP (ORDER BY ", a, ")", filter)
            }
            _ => {
                let a = self.expression(ty, 1, &rows);
                let f = self.one(&["max", "min"]);
                sql!(kind; f, "(", a, ")", filter)
            }
        };
        Leaf { node, ty, quirk, column: false }
    }

    /// A window function of this type; over groups the scope's leaves are keys and aggregates.
    pub(super) fn window(&mut self, ty: Ty, scope: &Scope) -> Node {
        let kind = Kind::Expr(ty);
        let by = [Ty::Int, Ty::Text, Ty::Date, Ty::Key][self.below(4)];
        let partition = self.chance(0.5).then(|| {
            let by = self.expression(Ty::Int, 1, scope);
            sql!(Kind::Plain; "PARTITION BY ", by)
        });
        let partition = Node::maybe(partition);
        let key = self.expression(by, 1, scope);
        let direction = self.one(&["", " DESC", " NULLS FIRST"]);
        let peers = sql!(Kind::Plain; " ORDER BY ", key, direction);
        let total = Self::row_order(&scope.items);
        let has_total = !scope.grouped && !total.is_empty();
        match (ty, self.below(3)) {
            (Ty::Key, 0 | 1) if has_total => {
                sql!(kind; "row_number() OVER (", partition, " ORDER BY ", total, ")")
            }
            (Ty::Key, _) => {
                let f = self.one(&["rank()", "dense_rank()", "count(*)"]);
                sql!(kind; f, " OVER (", partition, peers, ")")
            }
            (Ty::Int, 0) if has_total => {
                let a = self.expression(Ty::Int, 1, scope);
                let frame =
                    self.one(&["ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", "ROWS UNBOUNDED PRECEDING"]);
                sql!(kind; "max(", a, ") OVER (", partition, " ORDER BY ", total, " ", frame, ")")
            }
            (_, 0 | 1) if has_total => {
                let a = self.expression(ty, 1, scope);
                let f = self.one(&["lag", "lead", "first_value", "last_value"]);
                sql!(kind; f, "(", a, ") OVER (", partition, " ORDER BY ", total, ")")
            }
            (Ty::Num, _) => {
                let a = self.expression(Ty::Num, 1, scope);
                sql!(kind; "sum(", a, ") OVER (", partition, peers, ")")
            }
            (Ty::Int | Ty::Text | Ty::Date | Ty::Stamp | Ty::Float, _) => {
                let a = self.expression(ty, 1, scope);
                let f = self.one(&["min", "max"]);
                sql!(kind; f, "(", a, ") OVER (", partition, peers, ")")
            }
            _ => self.expression(ty, 1, scope),
        }
    }
}
