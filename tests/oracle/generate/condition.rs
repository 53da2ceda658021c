//! Conditions: comparisons, patterns, NULL, logic, membership, sublinks.

use super::{Maker, Scope};
use crate::schema::Quirk;
use crate::sql::{Kind, Node, Ty, sql};

const BOOL: Kind = Kind::Expr(Ty::Bool);

impl Maker {
    pub(super) fn condition(&mut self, depth: u32, scope: &Scope) -> Node {
        if depth == 0 {
            return self.comparison(0, scope);
        }
        let d = depth - 1;
        match self.below(20) {
            0..=5 => self.comparison(d, scope),
            6 | 7 => {
                let (a, b) = (self.condition(d, scope), self.condition(d, scope));
                let op = self.one(&[" AND ", " OR "]);
                sql!(BOOL; "(", a, op, b, ")")
            }
            8 => {
                let a = self.condition(d, scope);
                sql!(BOOL; "NOT (", a, ")")
            }
            9 => {
                let ty = self.fitting_type(scope);
                let a = self.expression(ty, d, scope);
                let is = self.one(&[" IS NULL", " IS NOT NULL"]);
                sql!(BOOL; "(", a, is, ")")
            }
            10 => {
                let ty = self.fitting_type(scope);
                let (a, b) = (self.expression(ty, d, scope), self.expression(ty, d, scope));
                let is = self.one(&[" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "]);
                sql!(BOOL; "(", a, is, b, ")")
            }
            11 => {
                let a = self.condition(d, scope);
                let is = self.one(&[" IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS FALSE"]);
                sql!(BOOL; "((", a, ")", is, ")")
            }
            12 => self.pattern(d, scope),
            13 => {
                let ty = self.fitting_type(scope);
                let a = self.expression(ty, d, scope);
                let members = (0..2 + self.below(2)).map(|_| self.constant(ty)).collect();
                let op = self.one(&[" IN (", " NOT IN ("]);
                sql!(BOOL; "(", a, op, Node::list(", ", members), "))")
            }
            14 => {
                let ty = [Ty::Int, Ty::Num, Ty::Date, Ty::Text][self.below(4)];
                let (a, b, c) =
                    (self.expression(ty, d, scope), self.simple(ty, scope), self.simple(ty, scope));
                let op = self.one(&[" BETWEEN ", " NOT BETWEEN "]);
                sql!(BOOL; "(", a, op, b, " AND ", c, ")")
            }
            15 => self.containment(scope),
            _ => self.sublink(scope),
        }
    }

    fn comparison(&mut self, d: u32, scope: &Scope) -> Node {
        let ty = self.fitting_type(scope);
        let op = self.one(&[" = ", " = ", " = ", " <> ", " < ", " <= ", " > ", " >= "]);
        if self.chance(0.06) {
            let other = self.fitting_type(scope);
            let (a, b) = (self.simple(ty, scope), self.simple(ty, scope));
            let (c, e) = (self.simple(other, scope), self.simple(other, scope));
            return sql!(BOOL; "((", a, ", ", c, ")", op, "(", b, ", ", e, "))");
        }
        let a = self.expression(ty, d, scope);
        let b = if self.chance(0.5) { self.constant(ty) } else { self.expression(ty, d, scope) };
        sql!(BOOL; "(", a, op, b, ")")
    }

    fn pattern(&mut self, d: u32, scope: &Scope) -> Node {
        let a = self.expression(Ty::Text, d, scope);
        match self.below(6) {
            0 | 1 => {
                let op = self.one(&[" LIKE ", " NOT LIKE ", " ILIKE "]);
                let with = self.one(&["'a%'", "'%b'", "'_'", "''"]);
                sql!(BOOL; "(", a, op, with, ")")
            }
            2 => match self.quirky(Quirk::Pattern, scope) {
                Some(pattern) => sql!(BOOL; "(", a, " LIKE ", pattern, ")"),
                None => sql!(BOOL; "starts_with(", a, ", 'a')"),
            },
            3 => match self.quirky(Quirk::Regex, scope) {
                Some(regex) => sql!(BOOL; "(", a, " ~ ", regex, ")"),
                None => sql!(BOOL; "(", a, " ~* '^a')"),
            },
            4 => sql!(BOOL; "(", a, " SIMILAR TO '[ab]+')"),
            _ => {
                let op = self.one(&[" ~ ", " !~ ", " ~* "]);
                sql!(BOOL; "(", a, op, "'^[ab]$')")
            }
        }
    }

    fn containment(&mut self, scope: &Scope) -> Node {
        match self.below(6) {
            0 => {
                let (a, b) = (self.simple(Ty::Int, scope), self.simple(Ty::Ints, scope));
                sql!(BOOL; "(", a, " = ANY (", b, "))")
            }
            1 => {
                let (a, b) = (self.simple(Ty::Ints, scope), self.simple(Ty::Ints, scope));
                let op = self.one(&[" && ", " @> ", " <@ "]);
                sql!(BOOL; "(", a, op, b, ")")
            }
            2 => {
                let (a, b) = (self.simple(Ty::Jsonb, scope), self.constant(Ty::Jsonb));
                sql!(BOOL; "(", a, " @> ", b, ")")
            }
            3 => {
                let a = self.simple(Ty::Jsonb, scope);
                let op = self.one(&["? 'n'", "?| ARRAY['a', 'k']", "?& ARRAY['n']"]);
                sql!(BOOL; "(", a, " ", op, ")")
            }
            4 => {
                let (a, b) = (self.simple(Ty::Text, scope), self.simple(Ty::Texts, scope));
                sql!(BOOL; "(", a, " <> ALL (", b, "))")
            }
            _ => {
                let (a, b, c, d) = (
                    self.simple(Ty::Date, scope),
                    self.simple(Ty::Date, scope),
                    self.plain_constant(Ty::Date),
                    self.plain_constant(Ty::Date),
                );
                sql!(BOOL; "((", a, ", ", b, ") OVERLAPS (", c, ", ", d, "))")
            }
        }
    }
}
