//! Of which class the columns and expressions of a statement are. When in doubt they are open.

use std::collections::HashSet;

use pg_query::protobuf::{AExprKind, SubLinkType};

use super::class::{Class, class, gives_fixed};
use super::{Reader, is_comparison, kind_of, results};
use crate::sql::resolve::{Resolution, resolve_name};
use crate::sql::tree::{Node, Tree};

/// What a column without a name may be called by, besides names in it (`FigureColname`, parse_target.c).
const NAMED_BY_KEYWORD: &[&str] =
    &["array", "case", "coalesce", "exists", "greatest", "least", "nullif", "row"];

impl Reader<'_> {
    /// Looks which columns there are. Which of them a name means in its place is not followed: those of one name are
    /// of one class, or nothing is known of any.
    pub(super) fn look(&mut self, root: &Node) {
        let mut ctes = HashSet::new();
        names_of_ctes(root, &mut ctes);
        let mut open = false;
        self.look_at(root, &ctes, &mut open);
        if open {
            self.columns.clear();
        }
        // What has a class by the name of another is of that one's.
        loop {
            let before = self.columns.len();
            self.look_at_targets(root, root.kind == "SelectStmt", false);
            if self.columns.len() == before {
                return;
            }
        }
    }

    fn look_at(&mut self, node: &Node, ctes: &HashSet<&str>, open: &mut bool) {
        match node.kind {
            "RangeVar" => {
                let schema = Some(node.str("schemaname")).filter(|s| !s.is_empty());
                let name = node.str("relname");
                for found in resolve_name(self.catalog, self.namespace, schema, name) {
                    match found {
                        Resolution::User(oid) => match self.catalog.relation(oid) {
                            Some(relation) => relation.columns.iter().for_each(|c| {
                                let ty = self.catalog.acts_as(c);
                                self.xml |= ty.is_some_and(|ty| ty.starts_with("xml"));
                                self.add(&c.name, ty.map_or(Class::Open, class));
                            }),
                            None => *open = true,
                        },
                        Resolution::Unknown if ctes.contains(name) => {}
                        Resolution::Unknown | Resolution::System(_) | Resolution::Temporary => {
                            (*open, self.xml) = (true, true);
                        }
                    }
                }
            }
            "RangeFunction" | "RangeTableFunc" | "JsonTable" => *open = true,
            // `column1` ...
            "SelectStmt" if node.has("values_lists") => {
                for number in 1..=node.list("values_lists").first().map_or(0, row_length) {
                    self.add(&format!("column{number}"), Class::Open);
                }
            }
            "Alias" => node.names("colnames").iter().for_each(|name| self.add(name, Class::Open)),
            "CommonTableExpr" => {
                node.names("aliascolnames").iter().for_each(|name| self.add(name, Class::Open));
            }
            "TypeName" => self.xml |= node.names("names").last() == Some(&"xml"),
            "FuncCall" => self.xml |= node.names("funcname").last().is_some_and(|n| n.contains("xml")),
            "XmlExpr" | "XmlSerialize" => self.xml = true,
            _ => {}
        }
        node.children().into_iter().for_each(|child| self.look_at(child, ctes, open));
    }

    fn add(&mut self, name: &str, class: Class) {
        // `alias.name` may be a call.
        let class = if self.is_builtin(&[name]) { class } else { Class::Open };
        let known = self.columns.entry(name.to_owned()).or_insert(class);
        if *known != class {
            *known = Class::Open;
        }
    }

    /// Forgets names that stand for something of another class in the list of a subquery. `top`: the list is what the
    /// client is shown, whose names mean nothing inside; `joined`: the query is an arm of a set operation, whose columns
    /// have a type of all arms.
    fn look_at_targets(&mut self, node: &Node, top: bool, joined: bool) {
        for (field, value) in &node.fields {
            let arms = node.kind == "SelectStmt" && matches!(*field, "larg" | "rarg");
            let set = matches!(
                (node.kind, *field),
                ("UpdateStmt" | "OnConflictClause" | "MergeWhenClause", "target_list")
                    | ("InsertStmt", "cols")
            );
            let lists = matches!(*field, "target_list" | "returning_list" | "exprs");
            let items = match value {
                Tree::List(items) => items.as_slice(),
                other => std::slice::from_ref(other),
            };
            for item in items.iter().filter_map(Tree::as_node) {
                if item.kind == "ResTarget" && lists && !set && !(top && node.kind == "SelectStmt" && !arms) {
                    self.look_at_target(item, joined);
                }
                self.look_at_targets(item, false, arms);
            }
        }
    }

    fn look_at_target(&mut self, target: &Node, joined: bool) {
        let Some(value) = target.node("val") else { return };
        let mut class = self.class_of(value).unwrap_or(if joined { Class::Open } else { Class::Fixed });
        if joined && class != Class::Fixed {
            class = Class::Open;
        }
        let mut names = HashSet::new();
        match target.str("name") {
            "" if value.kind == "ColumnRef" && class != Class::Open => {}
            "" => {
                strings(value, &mut names);
                names.extend(NAMED_BY_KEYWORD.iter().copied());
            }
            name => {
                names.insert(name);
            }
        }
        // A name that was not there has no class, nor gets one.
        for name in names {
            if self.columns.get(name).is_some_and(|known| *known != class) {
                self.columns.remove(name);
            }
        }
    }

    /// The class of the type that a cast names.
    pub(super) fn class_of_type(&self, name: Option<&Node>) -> Class {
        let Some(name) = name.filter(|n| !n.flag("setof") && !n.flag("pct_type")) else { return Class::Open };
        let base = match name.names("names").as_slice() {
            ["pg_catalog", last] => class(last),
            // A type of the database's own of that name, or the row type of a relation.
            [last]
                if !self.catalog.foreign_types.contains_key(*last)
                    && !self.catalog.by_name.keys().any(|n| n.name == *last)
                    && !self
                        .namespace
                        .temp_types
                        .iter()
                        .chain(&self.namespace.temp_relations)
                        .any(|n| n == last) =>
            {
                class(last)
            }
            _ => Class::Open,
        };
        match (base, name.has("array_bounds")) {
            (base, false) => base,
            (Class::Fixed, true) => Class::Array,
            (_, true) => Class::Open,
        }
    }

    /// The class of an expression; `None` for what takes the type of what it stands beside, or that of a text.
    pub(super) fn class_of(&self, node: &Node) -> Option<Class> {
        let fixed_if = |fixed: bool| Some(if fixed { Class::Fixed } else { Class::Open });
        match node.kind {
            "ParamRef" => None,
            "AConst" => node.node("val").filter(|v| v.kind != "String").map(|_| Class::Fixed),
            "ColumnRef" => {
                let names = node.names("fields");
                let name = names.last().filter(|_| names.len() == node.list("fields").len());
                Some(name.and_then(|n| self.columns.get(*n)).copied().unwrap_or(Class::Open))
            }
            "TypeCast" => Some(self.class_of_type(node.node("type_name"))),
            "CollateClause" => Some(node.node("arg").and_then(|a| self.class_of(a)).unwrap_or(Class::Fixed)),
            "BoolExpr" | "NullTest" | "BooleanTest" => Some(Class::Fixed),
            "SubLink" => {
                let kind = SubLinkType::try_from(i32::try_from(node.int("sub_link_type")).ok()?).ok();
                fixed_if(matches!(
                    kind,
                    Some(SubLinkType::ExistsSublink | SubLinkType::AnySublink | SubLinkType::AllSublink)
                ))
            }
            "CaseExpr" => Some(self.unified(results(node))),
            "CoalesceExpr" | "MinMaxExpr" => Some(self.unified(node.nodes("args").collect())),
            "AArrayExpr" => Some(match self.unified(node.nodes("elements").collect()) {
                Class::Fixed => Class::Array,
                _ => Class::Open,
            }),
            "FuncCall" => {
                let name = node.names("funcname");
                let Some(last) = name.last().filter(|_| self.is_builtin(&name)) else {
                    return Some(Class::Open);
                };
                let of_first = || node.nodes("args").next().and_then(|a| self.class_of(a));
                match *last {
                    // Of a moment; of a `timestamp` or `date` it is another type.
                    "timezone" => {
                        let moment =
                            node.nodes("args").nth(1).and_then(|a| self.class_of(a)) == Some(Class::Moment);
                        Some(if moment { Class::Day } else { Class::Open })
                    }
                    "min" | "max" => Some(of_first().unwrap_or(Class::Fixed)),
                    // Bounds of a range, sums of intervals.
                    "lower" | "upper" | "sum" | "avg" | "abs" | "round" => {
                        fixed_if(matches!(of_first(), None | Some(Class::Fixed)))
                    }
                    last => fixed_if(gives_fixed(last)),
                }
            }
            "AExpr" => {
                if !self.is_builtin_operator(&node.names("name")) {
                    return Some(Class::Open);
                }
                let sides: Vec<Option<Class>> = ["lexpr", "rexpr"]
                    .iter()
                    .filter_map(|s| node.node(s))
                    .map(|n| self.class_of(n))
                    .collect();
                let fixed = sides.contains(&Some(Class::Fixed))
                    && sides.iter().all(|s| matches!(s, None | Some(Class::Fixed)));
                let name = node.names("name").last().copied().unwrap_or_default();
                match kind_of(node) {
                    Some(AExprKind::AexprNullif) => sides.first().copied().flatten().or(Some(Class::Open)),
                    Some(AExprKind::AexprOp) => fixed_if(
                        is_comparison(name)
                            || matches!(name, "->" | "->>" | "#>" | "#>>" | "~" | "~*" | "!~" | "!~*")
                            || (fixed && matches!(name, "+" | "-" | "*" | "/" | "%" | "||")),
                    ),
                    // Conditions.
                    Some(_) => Some(Class::Fixed),
                    None => Some(Class::Open),
                }
            }
            _ => Some(Class::Open),
        }
    }

    /// The class of what all of these are converted to: all constants are a text (`select_common_type`).
    pub(super) fn unified(&self, nodes: Vec<&Node>) -> Class {
        let mut classes = nodes.into_iter().filter_map(|n| self.class_of(n));
        let Some(first) = classes.next() else { return Class::Fixed };
        if classes.all(|class| class == first) { first } else { Class::Open }
    }
}

/// How many values a row of VALUES has.
fn row_length(row: &Tree) -> usize {
    row.as_node().map_or(0, |row| row.list("items").len())
}

fn names_of_ctes<'a>(node: &'a Node, out: &mut HashSet<&'a str>) {
    if node.kind == "CommonTableExpr" {
        out.insert(node.str("ctename"));
    }
    node.children().into_iter().for_each(|child| names_of_ctes(child, out));
}

/// Every name in an expression.
fn strings<'a>(node: &'a Node, out: &mut HashSet<&'a str>) {
    if node.kind == "String" {
        out.insert(node.str("sval"));
    }
    node.children().into_iter().for_each(|child| strings(child, out));
}
