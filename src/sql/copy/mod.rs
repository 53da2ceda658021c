//! COPY between a client and protected tables: the query that a `COPY ... TO STDOUT` stands for, the
//! text that goes to the server in its place, and what the session must know to read the data.
//!
//! `COPY t` reads what `SELECT columns FROM t` reads (manual, "COPY"), so the inner query is planned
//! and checked as any query. The COPY around it is made of the client's own words behind `TO` and is
//! compared with the client's statement as a tree. Not here: the data itself (`session::copy`).

mod options;

use pg_query::protobuf::Token;

use self::options::Options;
use crate::catalog::{QualifiedName, Relation, RelationKind, quote_ident};
use crate::policy::{Access, GlsCode, KeyType, Refusal, Scope};
use crate::sql::cannot_guard;
use crate::sql::parse::{Statement, parse_ours};
use crate::sql::resolve::{Context, Resolution, resolve_name};
use crate::sql::tree::{Node, Tree};

pub use self::options::{CopyFormat, Forced};

/// What a guarded plan is when it is a COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyPlan {
    /// `COPY ... TO STDOUT`. The plan's own text is the query inside.
    Out(CopyOut),
    /// `COPY ... FROM STDIN`. The plan's own text is the client's.
    In(CopyIn),
}

/// `COPY ... TO STDOUT` of a guarded query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOut {
    /// The whole statement, with the guard's parameters still as `$n`: utility statements take none.
    pub text: String,
    /// How the rows are written.
    pub format: CopyFormat,
}

/// `COPY ... FROM STDIN` into a table with the patient key in a column of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyIn {
    /// How the rows are written.
    pub format: CopyFormat,
    /// What is NULL in the patient key.
    pub forced: Forced,
    /// Fields of a row.
    pub columns: usize,
    /// Which of them is the patient key.
    pub key: usize,
    /// How the key is written in the binary format.
    pub key_form: KeyForm,
    /// The type of patient keys.
    pub key_type: KeyType,
    /// Only patients of the user's assignment may be written.
    pub check: bool,
}

/// The type of a key column, as the binary format writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `int2`, `int4`, `int8`: big-endian, of their size.
    Integer,
    /// `text`, `varchar`: as they are.
    Text,
    /// `uuid`: 16 bytes.
    Uuid,
}

fn refuse<T>(what: impl std::fmt::Display, instead: &str) -> Result<T, Refusal> {
    Err(cannot_guard(what, instead))
}

/// The query that a `COPY ... TO STDOUT` stands for.
///
/// # Errors
/// The refusal of a form that cannot be told apart safely, or that PostgreSQL does not copy.
pub(super) fn inner_query(statement: &Statement, context: &Context<'_>) -> Result<Statement, Refusal> {
    if statement.max_param > 0 {
        return refuse("COPY takes no parameters", "write the values into the text");
    }
    let root = &statement.root;
    let text = match root.node("query") {
        Some(query) => {
            let text = inner_text(&statement.text).map(str::to_owned);
            let same = |t: &String| {
                parse_ours(t).is_ok_and(|p| matches!(p.statements.as_slice(), [one] if one.root == *query))
            };
            match text.filter(same) {
                Some(text) => text,
                None => return refuse("the query inside this COPY is not found", "run the query itself"),
            }
        }
        None => table_query(root, context)?,
    };
    match parse_ours(&text).map(|p| <[Statement; 1]>::try_from(p.statements)) {
        Ok(Ok([one])) => Ok(one),
        _ => refuse("the query inside this COPY is not understood", "run the query itself"),
    }
}

/// Tokens of `text`: start, end, kind.
fn tokens(text: &str) -> Option<Vec<(usize, usize, i32)>> {
    let tokens = pg_query::scan_tokens(text).ok()?;
    tokens
        .iter()
        .filter(|t| t.token != Token::CComment as i32 && t.token != Token::SqlComment as i32)
        .map(|t| Some((usize::try_from(t.start).ok()?, usize::try_from(t.end).ok()?, t.token)))
        .collect()
}

/// What stands between the first parenthesis and the one that closes it.
fn inner_text(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let mut from = None;
    for (start, end, kind) in tokens(text)? {
        if kind == Token::Ascii40 as i32 {
            from.get_or_insert(end);
            depth += 1;
        } else if kind == Token::Ascii41 as i32 {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return text.get(from?..start);
            }
        }
    }
    None
}

/// The client's words from `TO` or `FROM` on: the first one outside parentheses.
fn tail(text: &str, word: Token) -> Option<&str> {
    let mut depth = 0_usize;
    for (start, _, kind) in tokens(text)? {
        match kind {
            k if k == Token::Ascii40 as i32 => depth += 1,
            k if k == Token::Ascii41 as i32 => depth = depth.checked_sub(1)?,
            k if k == word as i32 && depth == 0 => return text.get(start..),
            _ => {}
        }
    }
    None
}

/// `SELECT columns FROM t`, the columns that `COPY t` copies.
fn table_query(root: &Node, context: &Context<'_>) -> Result<String, Refusal> {
    let Some(range) = root.node("relation").filter(|r| !r.has("catalogname")) else {
        return refuse("COPY without a plain table name", "name the table as schema.table");
    };
    let relation = relation_of(range, context)?;
    match relation.kind {
        RelationKind::Table => {}
        RelationKind::PartitionedTable => {
            return wrong_kind(format!("cannot copy from partitioned table \"{}\"", relation.name.name));
        }
        RelationKind::View => {
            return wrong_kind(format!("cannot copy from view \"{}\"", relation.name.name));
        }
        RelationKind::MaterializedView
        | RelationKind::ForeignTable
        | RelationKind::Sequence
        | RelationKind::Index
        | RelationKind::CompositeType
        | RelationKind::Toast
        | RelationKind::Other => {
            return wrong_kind(format!("cannot copy from relation \"{}\"", relation.name.name));
        }
    }
    if context.catalog.relations.values().any(|r| r.parents.contains(&relation.oid)) {
        return refuse(
            "COPY of a table that others inherit from copies its own rows only",
            "use COPY (SELECT ... FROM the table) TO, which copies all of them",
        );
    }
    let columns: Vec<String> = columns_of(root, relation)?.iter().map(|c| quote_ident(c)).collect();
    Ok(format!("SELECT {} FROM {}", columns.join(", "), name_of(range)))
}

fn relation_of<'a>(range: &Node, context: &Context<'a>) -> Result<&'a Relation, Refusal> {
    let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
    match resolve_name(context.catalog, context.namespace, schema, range.str("relname")).as_slice() {
        [Resolution::User(oid)] => context.catalog.relation(*oid),
        _ => None,
    }
    .map_or_else(|| refuse("the table of this COPY is not found", "name it as schema.table"), Ok)
}

fn wrong_kind<T>(message: String) -> Result<T, Refusal> {
    let refusal = servers_own("42809", message);
    Err(refusal.with_hint("Try the COPY (SELECT ...) TO variant."))
}

/// What PostgreSQL refuses itself, in its words (copyto.c, `BeginCopyTo`; copy.c, `CopyGetAttnums`).
fn servers_own(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { sqlstate, ..Refusal::new(GlsCode::CannotGuard, message) }
}

/// The columns that COPY reads or writes: those named, else all but the generated ones, in order.
fn columns_of<'a>(root: &'a Node, relation: &'a Relation) -> Result<Vec<&'a str>, Refusal> {
    let named = root.names("attlist");
    if named.is_empty() {
        return Ok(relation.columns.iter().filter(|c| !c.generated).map(|c| c.name.as_str()).collect());
    }
    let generated = |name: &&&str| relation.column(name).is_some_and(|c| c.generated);
    if let Some(name) = named.iter().find(generated) {
        let refusal = servers_own("42P10", format!("column \"{name}\" is a generated column"));
        return Err(refusal.with_detail("Generated columns cannot be used in COPY."));
    }
    let twice = |(i, name): &(usize, &&str)| named.iter().take(*i).any(|before| before == *name);
    if let Some((_, name)) = named.iter().enumerate().find(twice) {
        return Err(servers_own("42701", format!("column \"{name}\" specified more than once")));
    }
    Ok(named)
}

/// The COPY around the guarded query `inner`, compared with the client's statement: another query,
/// and nothing else different.
///
/// # Errors
/// The refusal of options that cannot be read safely.
pub(super) fn out(
    statement: &Statement,
    inner: &str,
    has_marker: bool,
    key: KeyType,
) -> Result<CopyOut, Refusal> {
    let format = options::read(&statement.root, Options::Out)?.format;
    format.witnesses_can_be_told(has_marker, key)?;
    let Some(tail) = tail(&statement.text, Token::To) else {
        return refuse("COPY without TO", "");
    };
    // Before PostgreSQL 7.3 BINARY stood in front of the table.
    let binary_in_front = matches!(format, CopyFormat::Binary)
        && tokens(&statement.text)
            .and_then(|t| t.get(1).copied())
            .is_some_and(|t| t.2 == Token::Binary as i32);
    let suffix = if binary_in_front { " (FORMAT binary)" } else { "" };
    // A line of its own: the query may end in a comment.
    let text = format!("COPY ({inner}\n) {tail}{suffix}");
    if is_copy_of(&text, inner, &statement.root) {
        Ok(CopyOut { text, format })
    } else {
        refuse("this form of COPY", "use COPY (SELECT ...) TO STDOUT WITH (options)")
    }
}

fn is_copy_of(text: &str, inner: &str, client: &Node) -> bool {
    let (Ok(text), Ok(inner)) = (parse_ours(text), parse_ours(inner)) else { return false };
    let ([copy], [query]) = (text.statements.as_slice(), inner.statements.as_slice()) else { return false };
    let rest = |node: &Node| -> Vec<(&'static str, Tree)> {
        let around = |f: &&(&'static str, Tree)| !matches!(f.0, "relation" | "attlist" | "query");
        node.fields.iter().filter(around).cloned().collect()
    };
    copy.root.kind == "CopyStmt"
        && copy.root.node("query") == Some(&query.root)
        && !copy.root.has("relation")
        && !copy.root.has("attlist")
        && rest(&copy.root) == rest(client)
}

/// How the rows of a `COPY ... FROM STDIN` into a protected table name their patients.
///
/// # Errors
/// The refusal of a table or form whose rows cannot be checked while they are sent.
pub(super) fn incoming(
    statement: &Statement,
    context: &Context<'_>,
) -> Result<(CopyIn, QualifiedName, String), Refusal> {
    let insert = "use INSERT (several rows in one VALUES, or drivers' batches)";
    let root = &statement.root;
    let Some(range) = root.node("relation").filter(|r| !r.has("catalogname")) else {
        return refuse("COPY without a plain table name", "name the table as schema.table");
    };
    let relation = relation_of(range, context)?;
    let Some(table) = context.bound.tables.get(&relation.oid) else {
        return refuse("COPY into a table without a rule", insert);
    };
    if !matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        return refuse(format_args!("COPY into {}, which is no table", relation.name), insert);
    }
    let Some(key) = table.rule.own_key() else {
        return refuse(
            format_args!("COPY into {}, whose rows name their patient through another table", relation.name),
            insert,
        );
    };
    let Access::Protected { filter, masks, .. } = context.bound.access(context.role, relation.oid) else {
        return refuse("COPY into a closed table", "");
    };
    if let Some(closed) = context.bound.table_for(context.role, relation.oid).and_then(|t| t.closed.as_ref())
        && (closed.by_category() || (closed.hides_rows() && context.role.scope == Scope::All))
    {
        return refuse(
            format_args!(
                "COPY into {}, whose rows can be of a category or label closed to the role",
                relation.name
            ),
            insert,
        );
    }
    // What is shown masked is not written.
    let filter = filter || masks.outside.is_some();
    let mut family = vec![relation.oid];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(
            context.catalog.relations.values().filter(|r| r.parents.contains(&parent)).map(|r| r.oid),
        );
        at += 1;
    }
    let triggered = |oid| context.catalog.relation(oid).is_some_and(|r| r.has_triggers_or_rules);
    if filter && family.iter().copied().any(triggered) {
        return refuse(
            format_args!("COPY into {}, whose triggers could change a row's patient", relation.name),
            insert,
        );
    }
    let options = options::read(root, Options::In)?;
    let columns = columns_of(root, relation)?;
    let link = |c: &str| context.bound.is_link(relation.oid, c);
    if filter && (columns.iter().any(|c| link(c)) || context.catalog.computes(relation.oid, link)) {
        return refuse(
            format_args!(
                "COPY into {} of a column that decides whose rows of other tables are",
                relation.name
            ),
            "leave the column out; a role that sees every patient can write it",
        );
    }
    let Some(position) = columns.iter().position(|c| *c == key) else {
        return refuse(
            format_args!("COPY into {} without its patient key {key}", relation.name),
            "name the column",
        );
    };
    let key_type = context.bound.policy.key_type;
    let Some(key_form) = relation.column(key).and_then(|c| key_form(&c.type_sql, key_type)) else {
        return refuse(format_args!("COPY into {}, whose key has a type of its own", relation.name), insert);
    };
    let forced = options.forced(key);
    let copy = CopyIn {
        format: options.format,
        forced,
        columns: columns.len(),
        key: position,
        key_form,
        key_type,
        check: filter,
    };
    Ok((copy, table.name.clone(), with_columns(statement, range, &columns)?))
}

/// The client's statement with its columns named: a column that comes or goes meanwhile moves no key.
fn with_columns(statement: &Statement, range: &Node, columns: &[&str]) -> Result<String, Refusal> {
    let form = || cannot_guard("this form of COPY", "use COPY table (columns) FROM STDIN WITH (options)");
    let tail = tail(&statement.text, Token::From).ok_or_else(form)?;
    let named: Vec<String> = columns.iter().map(|c| quote_ident(c)).collect();
    let text = format!("COPY {} ({}) {tail}", name_of(range), named.join(", "));
    let parsed = parse_ours(&text).map_err(|_| form())?;
    let [copy] = parsed.statements.as_slice() else { return Err(form()) };
    let rest = |node: &Node| -> Vec<(&'static str, Tree)> {
        node.fields.iter().filter(|f| f.0 != "attlist").cloned().collect()
    };
    let same = copy.root.kind == "CopyStmt"
        && copy.root.names("attlist") == columns
        && rest(&copy.root) == rest(&statement.root);
    if same { Ok(text) } else { Err(form()) }
}

/// The name as it was written.
fn name_of(range: &Node) -> String {
    let name = quote_ident(range.str("relname"));
    if range.has("schemaname") { format!("{}.{name}", quote_ident(range.str("schemaname"))) } else { name }
}

/// Types whose text, read as the key type, is the value that is stored. Not `char(n)` and `varchar(n)`,
/// which can store another text than was sent, and no domains.
fn key_form(type_sql: &str, key: KeyType) -> Option<KeyForm> {
    match (type_sql, key) {
        ("smallint" | "integer" | "bigint", KeyType::Int4 | KeyType::Int8) => Some(KeyForm::Integer),
        ("text" | "character varying", KeyType::Text) => Some(KeyForm::Text),
        ("uuid", KeyType::Uuid) => Some(KeyForm::Uuid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_copy_are_found() {
        let text = "COPY /* ( */ (SELECT ')', (1), \"(\" -- )\n) to STDOUT (FORMAT csv, NULL 'TO')";
        assert_eq!(inner_text(text), Some("SELECT ')', (1), \"(\" -- )\n"));
        assert_eq!(tail(text, Token::To), Some("to STDOUT (FORMAT csv, NULL 'TO')"));
        assert_eq!(tail("COPY \"to\" (\"to\", b) TO STDOUT", Token::To), Some("TO STDOUT"));
        assert_eq!(inner_text("COPY t TO STDOUT"), None);
    }

    fn statement(text: &str) -> Statement {
        parse_ours(text).unwrap().statements.remove(0)
    }

    #[test]
    fn the_copy_around_a_query_keeps_the_clients_words() {
        for client in [
            "COPY t TO STDOUT",
            "COPY t (a, b) TO STDOUT WITH CSV HEADER FORCE QUOTE a",
            "COPY BINARY t TO STDOUT",
            "COPY (SELECT a FROM t) TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
            "copy t to stdout",
        ] {
            let copy = out(&statement(client), "SELECT 1 -- x", false, KeyType::Int8).unwrap();
            assert!(is_copy_of(&copy.text, "SELECT 1", &statement(client).root), "{}", copy.text);
        }
        let client = statement("COPY t TO STDOUT (FORMAT csv)");
        for other in [
            "COPY (SELECT 1) TO STDOUT",
            "COPY (SELECT 2) TO STDOUT (FORMAT csv)",
            "COPY (SELECT 1) TO '/tmp/x' (FORMAT csv)",
            "COPY t FROM STDIN (FORMAT csv)",
        ] {
            assert!(!is_copy_of(other, "SELECT 1", &client.root), "{other}");
        }
    }
}
