//! Locking clauses (FOR UPDATE and its kind): the forms that the rewriter's parser does not know, and which
//! occurrences a clause locks. A locked table keeps its place in FROM: in a derived one, rows would be
//! locked before the conditions and the LIMIT outside are looked at.

use sqlparser::ast::{
    Expr, LimitClause, Offset, OffsetRows, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Value,
};

use super::scope::fold;
use super::walk::{Edit, edit};
use super::{PlanError, occurrence_of};

/// What stands for a clause that the parser does not know: `FOR UPDATE OF` and a name that holds it. Whoever
/// writes such a name himself gets a statement that does not read as the client's, which is refused.
const MARK: &str = "FOR UPDATE OF glass_lock_";

/// `text` with `FOR NO KEY UPDATE`, `FOR KEY SHARE` and lists behind OF in a form that the parser knows.
pub(super) fn encoded(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("for") || !(lower.contains("key") || lower.contains("of")) {
        return text.to_owned();
    }
    let Ok(scanned) = pg_query::scan(text) else { return text.to_owned() };
    let tokens: Vec<&str> = scanned
        .tokens
        .iter()
        .filter_map(|t| text.get(usize::try_from(t.start).ok()?..usize::try_from(t.end).ok()?))
        .collect();
    let starts: Vec<usize> = scanned.tokens.iter().map(|t| usize::try_from(t.start).unwrap_or(0)).collect();
    let is = |i: usize, word: &str| tokens.get(i).is_some_and(|t| t.eq_ignore_ascii_case(word));
    let all = |i: usize, words: &[&str]| words.iter().enumerate().all(|(n, w)| is(i + n, w));
    let mut out = String::with_capacity(text.len());
    let (mut at, mut i) = (0, 0);
    while i < tokens.len() {
        let from = i;
        i += 1;
        let words = [
            &["for", "no", "key", "update"][..],
            &["for", "key", "share"],
            &["for", "update"],
            &["for", "share"],
        ]
        .into_iter()
        .find(|w| all(from, w));
        let Some(words) = words else { continue };
        let mut end = from + words.len();
        let mut listed = 0;
        if is(end, "of") {
            // Names with their dots and commas; what follows a name without either is no part of it.
            end += 2;
            while is(end, ".") || is(end, ",") {
                listed += usize::from(is(end, ","));
                end += 2;
            }
        }
        i = end;
        if listed == 0 && words.len() == 2 {
            continue;
        }
        let (Some(start), Some(last)) = (starts.get(from), end.checked_sub(1)) else { continue };
        let (Some(last_start), Some(last_token)) = (starts.get(last), tokens.get(last)) else { continue };
        let stop = last_start + last_token.len();
        let (Some(before), Some(clause)) = (text.get(at..*start), text.get(*start..stop)) else {
            return text.to_owned();
        };
        let hex: String = clause.bytes().map(|b| format!("{b:02x}")).collect();
        out.push_str(&format!("{before}{MARK}{hex}"));
        at = stop;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The client's own clauses in place of what [`encoded`] made of them.
pub(super) fn decoded(printed: String) -> String {
    if !printed.contains(MARK) {
        return printed;
    }
    let mut out = String::with_capacity(printed.len());
    let mut rest = printed.as_str();
    while let Some((before, after)) = rest.split_once(MARK) {
        let end = after.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(after.len());
        let (hex, tail) = after.split_at(end);
        let bytes: Option<Vec<u8>> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok()).collect();
        out.push_str(before);
        out.push_str(&bytes.and_then(|b| String::from_utf8(b).ok()).unwrap_or_default());
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The aliases that a clause behind OF names; `None` for all.
fn named(query: &Query) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for lock in &query.locks {
        let shown = decoded(lock.to_string());
        let (_, list) = shown.split_once(" OF ").or_else(|| shown.split_once(" of "))?;
        let words = list.split([',', '.', ' ', '\n', '\t']).map(|w| w.trim().trim_matches('"').to_owned());
        all.extend(words.filter(|w| !w.is_empty()));
    }
    Some(all)
}

/// The occurrences in FROM of `query` that its locking clauses lock.
pub(super) fn locked(query: &Query, aliases: &dyn Fn(usize) -> String) -> Vec<usize> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Vec::new() };
    if query.locks.is_empty() {
        return Vec::new();
    }
    let of = named(query);
    let mut found = Vec::new();
    select.from.iter().for_each(|tree| tables(tree, &mut found));
    found.retain(|n| {
        of.as_ref().is_none_or(|of| of.iter().any(|name| name.eq_ignore_ascii_case(&aliases(*n))))
    });
    found
}

/// The occurrences whose rows `query` locks, those inside subqueries of its FROM as well: a clause locks
/// the tables of a subquery, but not those of a WITH query.
pub(super) fn held(query: &Query, aliases: &dyn Fn(usize) -> String) -> Vec<usize> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Vec::new() };
    if query.locks.is_empty() {
        return Vec::new();
    }
    let of = named(query);
    let covers = |alias: &str| of.as_ref().is_none_or(|of| of.iter().any(|n| n.eq_ignore_ascii_case(alias)));
    let mut found = Vec::new();
    select.from.iter().for_each(|tree| held_in(tree, &|n| covers(&aliases(n)), &covers, &mut found));
    found
}

fn held_in(
    tree: &TableWithJoins,
    table: &dyn Fn(usize) -> bool,
    subquery: &dyn Fn(&str) -> bool,
    found: &mut Vec<usize>,
) {
    for factor in std::iter::once(&tree.relation).chain(tree.joins.iter().map(|j| &j.relation)) {
        match factor {
            TableFactor::Table { name, .. } => {
                found.extend(occurrence_of(name).filter(|n| table(*n)));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                held_in(table_with_joins, table, subquery, found);
            }
            TableFactor::Derived { subquery: inner, alias, .. } => {
                let alias = alias.as_ref().map(|a| fold(&a.name)).unwrap_or_default();
                if let SetExpr::Select(select) = inner.body.as_ref()
                    && subquery(&alias)
                {
                    select.from.iter().for_each(|tree| held_in(tree, &|_| true, &|_| true, found));
                }
            }
            _ => {}
        }
    }
}

/// True when a derived table in the place of one whose rows `query` locks keeps its meaning: it locks the
/// visible rows, more than those returned, but none is left out for another session by a LIMIT outside.
pub(super) fn all_rows(query: &Query) -> bool {
    query.limit_clause.is_none() && query.fetch.is_none()
}

/// Puts `OFFSET 0` to queries inside `ast` that lock rows and show more than columns: what their lists compute could else
/// become a condition in them, beside the guard. The top query is one of them where another one will stand around it.
/// A fence around a table is of no use there, as it would lock the rows that the conditions leave out. A query that locks
/// rows is never merged with the one around it (`is_simple_subquery`, `contain_dml`), so nothing else changes but that
/// conditions around it do not go into it, and it locks what it returns.
pub(super) fn fence_lists(ast: &mut Statement, nested: bool, top: bool) -> Result<(), PlanError> {
    struct Lists {
        nested: bool,
        top: bool,
        depth: usize,
    }
    impl Edit for Lists {
        fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
            let wanted = if self.depth == 0 { self.top } else { self.nested };
            self.depth += 1;
            let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
            let column = |item: &SelectItem| match item {
                SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => {
                    matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
                _ => false,
            };
            if wanted && !query.locks.is_empty() && all_rows(query) && !select.projection.iter().all(column) {
                let value = Expr::value(Value::Number("0".to_owned(), false));
                let offset = Some(Offset { value, rows: OffsetRows::None });
                query.limit_clause =
                    Some(LimitClause::LimitOffset { limit: None, offset, limit_by: Vec::new() });
            }
            Ok(())
        }

        fn query_end(&mut self) {
            self.depth -= 1;
        }
    }
    // Of a write, every query is one inside.
    let depth = usize::from(!matches!(ast, Statement::Query(_)));
    edit(ast, &mut Lists { nested, top, depth })
}

fn tables(tree: &TableWithJoins, found: &mut Vec<usize>) {
    for factor in std::iter::once(&tree.relation).chain(tree.joins.iter().map(|j| &j.relation)) {
        match factor {
            TableFactor::Table { name, .. } => found.extend(occurrence_of(name)),
            TableFactor::NestedJoin { table_with_joins, .. } => tables(table_with_joins, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locking_clauses_of_postgresql_come_back_as_they_were() {
        for (text, hidden) in [
            ("SELECT 1 FROM t FOR UPDATE", false),
            ("SELECT 1 FROM t FOR UPDATE OF t NOWAIT", false),
            ("SELECT 1 FROM t FOR NO KEY UPDATE", true),
            ("SELECT 1 FROM t, u FOR UPDATE OF t, \"u\" SKIP LOCKED", true),
            ("SELECT 1 FROM t, u FOR KEY SHARE OF t FOR SHARE OF u", true),
            ("SELECT substring(a FOR 2) FROM t /* for key share */", false),
        ] {
            let made = encoded(text);
            assert_eq!(made.contains(MARK), hidden, "{made}");
            assert_eq!(decoded(made), text);
        }
    }
}
