//! Expressions of every type but bool. What fails on some values takes only columns that have no such value in
//! visible rows. Numbers have two decimals and floats no minus, so that equal values look alike.

use super::{Maker, Scope};
use crate::schema::Quirk;
use crate::sql::{Kind, Node, Ty, sql};

impl Maker {
    /// An expression of this type, at most this deep.
    pub(super) fn expression(&mut self, ty: Ty, depth: u32, scope: &Scope) -> Node {
        if depth == 0 || self.chance(0.3) {
            return self.simple(ty, scope);
        }
        let d = depth - 1;
        if self.chance(0.25) {
            return self.of_any_type(ty, d, scope);
        }
        match ty {
            Ty::Int => self.int(d, scope),
            Ty::Key => self.key(d, scope),
            Ty::Num => self.num(d, scope),
            Ty::Text => self.text(d, scope),
            Ty::Float => self.float(d, scope),
            Ty::Date => self.date(d, scope),
            Ty::Stamp => self.stamp(d, scope),
            Ty::Bool => self.condition(depth, scope),
            Ty::Jsonb => self.jsonb(d, scope),
            Ty::Json => self.json(scope),
            Ty::Ints => self.ints(d, scope),
            Ty::Texts => self.texts(d, scope),
            Ty::State => match self.quirky(Quirk::StateText, scope) {
                Some(text) => sql!(Kind::Expr(ty); text, "::orc.state"),
                None => self.simple(ty, scope),
            },
            Ty::Uuid => match self.quirky(Quirk::UuidText, scope) {
                Some(text) => sql!(Kind::Expr(ty); text, "::uuid"),
                None => self.simple(ty, scope),
            },
        }
    }

    /// COALESCE, CASE, NULLIF, GREATEST, a scalar subquery.
    fn of_any_type(&mut self, ty: Ty, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(ty);
        if ty == Ty::Json {
            return self.json(scope);
        }
        match self.below(7) {
            0 => {
                let (a, b) = (self.expression(ty, d, scope), self.constant(ty));
                sql!(kind; "coalesce(", a, ", ", b, ")")
            }
            1 => {
                let (c, a, b) =
                    (self.condition(d, scope), self.expression(ty, d, scope), self.expression(ty, d, scope));
                let otherwise = Node::maybe(Some(sql!(Kind::Plain; " ELSE ", b)));
                sql!(kind; "CASE WHEN ", c, " THEN ", a, otherwise, " END")
            }
            2 => {
                let (of, a) = (self.simple(Ty::Int, scope), self.expression(ty, d, scope));
                let (one, other) = (self.plain_constant(Ty::Int), self.constant(ty));
                sql!(kind; "CASE ", of, " WHEN ", one, " THEN ", a, " ELSE ", other, " END")
            }
            3 => {
                let (a, b) = (self.expression(ty, d, scope), self.constant(ty));
                sql!(kind; "nullif(", a, ", ", b, ")")
            }
            4 => {
                let f = self.one(&["greatest", "least"]);
                let (a, b) = (self.expression(ty, d, scope), self.expression(ty, d, scope));
                sql!(kind; f, "(", a, ", ", b, ")")
            }
            _ => self.scalar(ty, scope),
        }
    }

    fn int(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Int);
        for _ in 0..4 {
            return match self.below(20) {
                0 | 1 => {
                    let (a, b) = (self.expression(Ty::Int, d, scope), self.expression(Ty::Int, d, scope));
                    let op = self.one(&[" + ", " - "]);
                    sql!(kind; "(", a, op, b, ")")
                }
                2 => {
                    let (a, b) = (self.simple(Ty::Int, scope), self.plain_constant(Ty::Int));
                    sql!(kind; "(", a, " * ", b, ")")
                }
                3 | 4 => {
                    let Some(by) = self.quirky(Quirk::NonZero, scope) else { continue };
                    let a = if self.chance(0.5) {
                        self.constant(Ty::Int)
                    } else {
                        self.expression(Ty::Int, d, scope)
                    };
                    let op = self.one(&[" / ", " % "]);
                    sql!(kind; "(", a, op, by, ")")
                }
                5 | 6 => {
                    let Some(text) = self.quirky(Quirk::IntText, scope) else { continue };
                    if self.chance(0.5) {
                        sql!(kind; text, "::int")
                    } else {
                        sql!(kind; "CAST(", text, " AS integer)")
                    }
                }
                7 => {
                    let a = self.expression(Ty::Text, d, scope);
                    let f = self.one(&["length", "char_length", "octet_length"]);
                    sql!(kind; f, "(", a, ")")
                }
                8 => {
                    let (from, unit) = if self.chance(0.5) {
                        (self.expression(Ty::Date, d, scope), self.one(&["year", "month", "dow"]))
                    } else {
                        (self.expression(Ty::Stamp, d, scope), self.one(&["year", "day", "hour"]))
                    };
                    sql!(kind; "extract(", unit, " FROM ", from, ")::int")
                }
                9 => {
                    let Some(doc) = self.quirky(Quirk::Doc, scope) else { continue };
                    sql!(kind; "(", doc, "->>'n')::int")
                }
                10 => {
                    let (a, n) = (self.simple(Ty::Ints, scope), self.plain_constant(Ty::Int));
                    sql!(kind; "(", a, ")[", n, "]")
                }
                11 => {
                    let a = self.simple(Ty::Ints, scope);
                    let f = self.one(&["cardinality(", "coalesce(array_length("]);
                    let end = if f.starts_with('c') && f.ends_with("length(") { ", 1), 0)" } else { ")" };
                    sql!(kind; f, a, end)
                }
                12 => {
                    let (a, b) = (self.expression(Ty::Date, d, scope), self.expression(Ty::Date, d, scope));
                    sql!(kind; "(", a, " - ", b, ")")
                }
                13 => {
                    let a = self.expression(Ty::Bool, d, scope);
                    sql!(kind; "(", a, ")::int")
                }
                14 => {
                    let a = self.simple(Ty::Num, scope);
                    sql!(kind; "floor(", a, ")::int")
                }
                15 => {
                    let (a, b) = (self.simple(Ty::Text, scope), self.constant(Ty::Text));
                    sql!(kind; "strpos(", a, ", ", b, ")")
                }
                16 => {
                    let Some(by) = self.quirky(Quirk::NonZero, scope) else { continue };
                    let a = self.simple(Ty::Num, scope);
                    sql!(kind; "width_bucket(", a, ", 0, 10, ", by, ")")
                }
                17 => {
                    let a = self.simple(Ty::Int, scope);
                    sql!(kind; "abs(", a, ")")
                }
                18 => {
                    let a = self.simple(Ty::Key, scope);
                    sql!(kind; a, "::int4")
                }
                _ => {
                    let a = self.simple(Ty::Int, scope);
                    sql!(kind; "(- ", a, ")")
                }
            };
        }
        self.simple(Ty::Int, scope)
    }

    fn key(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Key);
        match self.below(4) {
            0 => {
                let a = self.expression(Ty::Int, d, scope);
                sql!(kind; "(", a, ")::int8")
            }
            1 => {
                let (a, b) = (self.simple(Ty::Key, scope), self.plain_constant(Ty::Int));
                let op = self.one(&[" + ", " / 1000 + ", " % 1000 - "]);
                sql!(kind; "(", a, op, b, ")")
            }
            _ => self.simple(Ty::Key, scope),
        }
    }

    fn num(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Num);
        for _ in 0..4 {
            return match self.below(9) {
                0 => {
                    let (a, b) = (self.expression(Ty::Num, d, scope), self.expression(Ty::Num, d, scope));
                    let op = self.one(&[" + ", " - "]);
                    sql!(kind; "(", a, op, b, ")")
                }
                1 => {
                    let (a, b) = (self.simple(Ty::Num, scope), self.simple(Ty::Num, scope));
                    sql!(kind; "round(", a, " * ", b, ", 2)")
                }
                2 | 3 => {
                    let Some(by) = self.quirky(Quirk::NonZero, scope) else { continue };
                    let a = self.expression(Ty::Num, d, scope);
                    sql!(kind; "round(", a, " / ", by, ", 2)")
                }
                4 => {
                    let a = self.expression(Ty::Int, d, scope);
                    sql!(kind; "(", a, ")::numeric(12,2)")
                }
                5 => {
                    let Some(text) = self.quirky(Quirk::NumText, scope) else { continue };
                    sql!(kind; text, "::numeric(10,2)")
                }
                6 => {
                    let Some(small) = self.quirky(Quirk::SmallNum, scope) else { continue };
                    sql!(kind; small, "::numeric(4,2)")
                }
                7 => {
                    let a = self.simple(Ty::Num, scope);
                    let f = self.one(&["abs", "trunc"]);
                    sql!(kind; "round(", f, "(", a, "), 2)")
                }
                _ => {
                    let Some(by) = self.quirky(Quirk::NonZeroFloat, scope) else { continue };
                    sql!(kind; "round((1 / ", by, ")::numeric, 2)")
                }
            };
        }
        self.simple(Ty::Num, scope)
    }

    fn float(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Float);
        for _ in 0..4 {
            return match self.below(6) {
                0 => {
                    let (a, b) = (self.expression(Ty::Float, d, scope), self.simple(Ty::Float, scope));
                    sql!(kind; "(", a, " + ", b, ")")
                }
                1 => {
                    let (a, b) = (self.simple(Ty::Float, scope), self.plain_constant(Ty::Float));
                    sql!(kind; "(", a, " * ", b, ")")
                }
                2 | 3 => {
                    let Some(by) = self.quirky(Quirk::NonZeroFloat, scope) else { continue };
                    let a = self.expression(Ty::Float, d, scope);
                    sql!(kind; "(", a, " / ", by, ")")
                }
                4 => {
                    let Some(of) = self.quirky(Quirk::NonZeroFloat, scope) else { continue };
                    let f = self.one(&["ln", "sqrt", "exp"]);
                    sql!(kind; "abs(", f, "(", of, "))")
                }
                _ => {
                    let a = self.simple(Ty::Num, scope);
                    sql!(kind; a, "::float8")
                }
            };
        }
        self.simple(Ty::Float, scope)
    }

    fn text(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Text);
        for _ in 0..4 {
            return match self.below(24) {
                0 | 1 => {
                    let (a, b) = (self.expression(Ty::Text, d, scope), self.expression(Ty::Text, d, scope));
                    sql!(kind; "(", a, " || ", b, ")")
                }
                2 | 3 => {
                    let a = self.expression(Ty::Text, d, scope);
                    let f = self.one(&["upper", "lower", "initcap", "md5", "reverse", "trim", "rtrim"]);
                    sql!(kind; f, "(", a, ")")
                }
                4 => {
                    let (a, n) = (self.expression(Ty::Text, d, scope), self.plain_constant(Ty::Int));
                    let f = self.one(&["left", "right"]);
                    sql!(kind; f, "(", a, ", ", n, ")")
                }
                5 => {
                    let (a, n) = (self.expression(Ty::Text, d, scope), self.plain_constant(Ty::Int));
                    sql!(kind; "substr(", a, ", 1, ", n, ")")
                }
                6 | 7 => {
                    let ty = [Ty::Int, Ty::Num, Ty::Date, Ty::State, Ty::Uuid, Ty::Bool, Ty::Key, Ty::Jsonb]
                        [self.below(8)];
                    let a = self.expression(ty, d, scope);
                    sql!(kind; "(", a, ")::text")
                }
                8 => {
                    let Some(doc) = self.quirky(Quirk::Doc, scope) else { continue };
                    let path = self.one(&["->>'k'", "->>'n'", "#>>'{a,0}'", "->'a'->>0"]);
                    sql!(kind; "(", doc, path, ")")
                }
                9 => {
                    let a = self.simple(Ty::Texts, scope);
                    sql!(kind; "array_to_string(", a, ", ',')")
                }
                10 => {
                    let (a, b) = (self.expression(Ty::Text, d, scope), self.simple(Ty::Int, scope));
                    let f = self.one(&["concat(", "concat_ws('-', "]);
                    sql!(kind; f, a, ", ", b, ")")
                }
                11 => {
                    let (a, form) = if self.chance(0.5) {
                        (self.simple(Ty::Date, scope), "'YYYY-MM'")
                    } else {
                        (self.simple(Ty::Num, scope), "'999.99'")
                    };
                    sql!(kind; "to_char(", a, ", ", form, ")")
                }
                12 => {
                    let (a, b) = (self.expression(Ty::Text, d, scope), self.plain_constant(Ty::Text));
                    sql!(kind; "replace(", a, ", ", b, ", 'x')")
                }
                13..=15 => self.whole_row(scope).unwrap_or_else(|| self.simple(Ty::Text, scope)),
                16 | 17 => {
                    let Some(n) = self.quirky(Quirk::Count, scope) else { continue };
                    let a = self.simple(Ty::Text, scope);
                    match self.below(4) {
                        0 => sql!(kind; "substring(", a, ", 1, ", n, ")"),
                        1 => sql!(kind; "repeat(", a, ", ", n, ")"),
                        2 => sql!(kind; "lpad(", a, ", ", n, ", 'x')"),
                        _ => sql!(kind; "chr(64 + ", n, ")"),
                    }
                }
                18 => {
                    let Some(by) = self.quirky(Quirk::NonZero, scope) else { continue };
                    let a = self.simple(Ty::Text, scope);
                    sql!(kind; "split_part(", a, ", 'b', ", by, ")")
                }
                19 => {
                    let Some(regex) = self.quirky(Quirk::Regex, scope) else { continue };
                    let a = self.simple(Ty::Text, scope);
                    sql!(kind; "regexp_replace(", a, ", ", regex, ", 'y')")
                }
                20 => {
                    let a = self.expression(Ty::Text, d, scope);
                    let to = self.one(&["varchar(2)", "char(3)", "text"]);
                    sql!(kind; "(", a, ")::", to, "::text")
                }
                21 => {
                    let (a, b) = (self.simple(Ty::Text, scope), self.simple(Ty::Int, scope));
                    sql!(kind; "format('%s:%s', ", a, ", ", b, ")")
                }
                22 => {
                    let a = self.simple(Ty::Float, scope);
                    sql!(kind; "(", a, ")::text")
                }
                _ => {
                    let (a, n) = (self.simple(Ty::Texts, scope), self.plain_constant(Ty::Int));
                    sql!(kind; "(", a, ")[", n, "]")
                }
            };
        }
        self.simple(Ty::Text, scope)
    }

    /// A row of a table as text.
    fn whole_row(&mut self, scope: &Scope) -> Option<Node> {
        if scope.grouped {
            return None;
        }
        let tables: Vec<&str> = scope.items.iter().filter(|i| i.table).map(|i| i.alias.as_str()).collect();
        if tables.is_empty() {
            return None;
        }
        let alias = tables[self.below(tables.len())];
        let kind = Kind::Expr(Ty::Text);
        Some(match self.below(4) {
            0 => sql!(kind; format!("{alias}::text")),
            1 => sql!(kind; format!("row_to_json({alias})::text")),
            2 => sql!(kind; format!("to_jsonb({alias})::text")),
            _ => sql!(kind; format!("({alias}.*)::text")),
        })
    }

    fn json(&mut self, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Json);
        let tables: Vec<&str> = scope.items.iter().filter(|i| i.table).map(|i| i.alias.as_str()).collect();
        if tables.is_empty() || scope.grouped {
            let (a, b) = (self.simple(Ty::Int, scope), self.simple(Ty::Text, scope));
            return sql!(kind; "json_build_object('a', ", a, ", 'b', ", b, ")");
        }
        sql!(kind; format!("row_to_json({})", tables[self.below(tables.len())]))
    }

    fn date(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Date);
        for _ in 0..4 {
            return match self.below(8) {
                0 => {
                    let (a, n) = (self.expression(Ty::Date, d, scope), self.simple(Ty::Int, scope));
                    let op = self.one(&[" + ", " - "]);
                    sql!(kind; "(", a, op, n, ")")
                }
                1 | 2 => {
                    let Some(text) = self.quirky(Quirk::DateText, scope) else { continue };
                    if self.chance(0.5) {
                        sql!(kind; text, "::date")
                    } else {
                        sql!(kind; "to_date(", text, ", 'YYYY-MM-DD')")
                    }
                }
                3 => {
                    let a = self.expression(Ty::Stamp, d, scope);
                    sql!(kind; "(", a, ")::date")
                }
                4 => {
                    let a = self.expression(Ty::Date, d, scope);
                    let unit = self.one(&["month", "year"]);
                    sql!(kind; format!("date_trunc('{unit}', "), a, ")::date")
                }
                5 => {
                    let a = self.expression(Ty::Date, d, scope);
                    let by = self.one(&["1 day", "1 month", "-1 year"]);
                    sql!(kind; "(", a, format!(" + interval '{by}')::date"))
                }
                6 => {
                    let Some(month) = self.quirky(Quirk::NonZero, scope) else { continue };
                    sql!(kind; "make_date(2020, ", month, ", 1)")
                }
                _ => self.simple(Ty::Date, scope),
            };
        }
        self.simple(Ty::Date, scope)
    }

    fn stamp(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Stamp);
        for _ in 0..4 {
            return match self.below(4) {
                0 => {
                    let a = self.expression(Ty::Stamp, d, scope);
                    let by = self.one(&["1 day", "3 hours", "-1 month"]);
                    sql!(kind; "(", a, format!(" + interval '{by}')"))
                }
                1 => {
                    let a = self.expression(Ty::Date, d, scope);
                    sql!(kind; "(", a, ")::timestamptz")
                }
                2 => {
                    let Some(unit) = self.quirky(Quirk::Unit, scope) else { continue };
                    let a = self.simple(Ty::Stamp, scope);
                    sql!(kind; "date_trunc(", unit, ", ", a, ")")
                }
                _ => {
                    let a = self.expression(Ty::Stamp, d, scope);
                    let unit = self.one(&["hour", "month", "year"]);
                    sql!(kind; format!("date_trunc('{unit}', "), a, ")")
                }
            };
        }
        self.simple(Ty::Stamp, scope)
    }

    fn jsonb(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Jsonb);
        for _ in 0..4 {
            return match self.below(6) {
                0 => {
                    let (a, b) = (self.simple(Ty::Int, scope), self.expression(Ty::Text, d, scope));
                    sql!(kind; "jsonb_build_object('n', ", a, ", 'k', ", b, ")")
                }
                1 => {
                    let Some(doc) = self.quirky(Quirk::Doc, scope) else { continue };
                    let key = self.one(&["n", "a", "k"]);
                    sql!(kind; "(", doc, format!("->'{key}')"))
                }
                2 => {
                    let Some(text) = self.quirky(Quirk::JsonText, scope) else { continue };
                    sql!(kind; text, "::jsonb")
                }
                3 => {
                    let ty = [Ty::Int, Ty::Text, Ty::Ints, Ty::Date][self.below(4)];
                    let a = self.expression(ty, d, scope);
                    sql!(kind; "to_jsonb(", a, ")")
                }
                4 => {
                    let (Some(a), Some(b)) = (self.quirky(Quirk::Doc, scope), self.quirky(Quirk::Doc, scope))
                    else {
                        continue;
                    };
                    sql!(kind; "(", a, " || ", b, ")")
                }
                _ => self.simple(Ty::Jsonb, scope),
            };
        }
        self.simple(Ty::Jsonb, scope)
    }

    fn ints(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Ints);
        match self.below(5) {
            0 => {
                let (a, b) = (self.expression(Ty::Int, d, scope), self.simple(Ty::Int, scope));
                sql!(kind; "ARRAY[", a, ", ", b, "]")
            }
            1 => {
                let (a, b) = (self.simple(Ty::Ints, scope), self.simple(Ty::Int, scope));
                sql!(kind; "array_append(", a, ", ", b, ")")
            }
            2 => {
                let (a, b) = (self.simple(Ty::Ints, scope), self.simple(Ty::Ints, scope));
                sql!(kind; "(", a, " || ", b, ")")
            }
            3 => self.array_of(Ty::Int, scope),
            _ => self.simple(Ty::Ints, scope),
        }
    }

    fn texts(&mut self, d: u32, scope: &Scope) -> Node {
        let kind = Kind::Expr(Ty::Texts);
        match self.below(4) {
            0 => {
                let a = self.expression(Ty::Text, d, scope);
                sql!(kind; "string_to_array(", a, ", 'b')")
            }
            1 => self.array_of(Ty::Text, scope),
            2 => {
                let (a, b) = (self.simple(Ty::Texts, scope), self.simple(Ty::Text, scope));
                sql!(kind; "array_remove(", a, ", ", b, "::text)")
            }
            _ => self.simple(Ty::Texts, scope),
        }
    }
}
