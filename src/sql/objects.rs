//! Cursors and prepared statements of SQL: what `DECLARE`, `FETCH`, `MOVE`, `CLOSE`, `PREPARE` and
//! `EXECUTE` ask for, and the texts that do the same with a guarded statement inside.
//!
//! On the server such an object has a name of ours that is never used twice, so that no belief about
//! the client's names decides what is read. Every text made here is parsed again with PostgreSQL's
//! grammar and compared with the client's own tree. Not for the guard inside (`plan`, `check`), nor
//! for which objects a session has (`session::objects`).

use std::sync::Arc;

use pg_query::protobuf::{FetchDirection, Token};

use super::literal::is_constant;
use super::object_names as names;
use super::parse::{Statement, parse_ours};
use super::tree::{Node, Tree};
use super::{GuardedPlan, Lineage, StatementKind, Strategy, cannot_guard};
use crate::catalog::quote_literal;
use crate::policy::{RESERVED_PREFIX, Refusal};

/// Options of DECLARE as bits (PostgreSQL, nodes/parsenodes.h).
const BINARY: i64 = 0x0001;
const SCROLL: i64 = 0x0002;
const NO_SCROLL: i64 = 0x0004;
const INSENSITIVE: i64 = 0x0008;
const ASENSITIVE: i64 = 0x0010;
const HOLD: i64 = 0x0020;

/// What a statement does with a cursor or prepared statement of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// DECLARE.
    Declare {
        /// The client's name.
        name: String,
        /// Rows come in binary form.
        binary: bool,
        /// Outlives its transaction.
        hold: bool,
        /// Declared with SCROLL.
        scroll: bool,
        /// Reading it can change what unqualified names mean.
        moves_names: bool,
    },
    /// FETCH and MOVE.
    Fetch(Fetch),
    /// CLOSE; `None` is ALL.
    Close(Option<String>),
    /// PREPARE.
    Prepare {
        /// The client's name.
        name: String,
        /// Running it can change what unqualified names mean.
        moves_names: bool,
    },
    /// EXECUTE.
    Execute {
        /// The client's name.
        name: String,
        /// The arguments as text where they are constants, `None` where only the server knows.
        arguments: Vec<Option<String>>,
    },
    /// EXPLAIN or CREATE TABLE AS of an EXECUTE of the statement with this name.
    Around(String),
    /// It changes, or explains a change of, rows that these cursors stand on (`WHERE CURRENT OF`).
    CurrentOf(Vec<String>),
}

/// FETCH or MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The client's name of the cursor.
    pub cursor: String,
    /// The direction, as PostgreSQL's grammar reduces it to four.
    pub direction: Direction,
    /// How many rows, or which; `i64::MAX` is ALL.
    pub count: i64,
    /// MOVE.
    pub moves: bool,
}

/// Directions of FETCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The next rows.
    Forward,
    /// The rows before.
    Backward,
    /// The row with this number.
    Absolute,
    /// The row so far from here.
    Relative,
}

impl Fetch {
    fn of(root: &Node) -> Option<Self> {
        let direction = i32::try_from(root.int("direction")).ok()?;
        Some(Self {
            cursor: root.str("portalname").to_owned(),
            direction: match FetchDirection::try_from(direction).ok()? {
                FetchDirection::FetchForward => Direction::Forward,
                FetchDirection::FetchBackward => Direction::Backward,
                FetchDirection::FetchAbsolute => Direction::Absolute,
                FetchDirection::FetchRelative => Direction::Relative,
                FetchDirection::Undefined => return None,
            },
            count: root.int("how_many"),
            moves: root.flag("ismove"),
        })
    }

    /// True when rows are passed over that are neither returned nor were before: what it returns then
    /// depends on rows that it does not show. `first_row_tells` when the first row's witnesses stand
    /// for all ([`Strategy::Bound`]): the last row alone then says nothing.
    pub fn jumps(&self, first_row_tells: bool) -> bool {
        match self.direction {
            Direction::Forward | Direction::Backward => false,
            Direction::Relative => !matches!(self.count, -1..=1),
            Direction::Absolute => match self.count {
                0 | 1 => false,
                -1 => first_row_tells,
                _ => true,
            },
        }
    }

    /// The text for the cursor called `upstream` on the server. MOVE is a FETCH as well: what is
    /// skipped has to be seen.
    fn text(&self, upstream: &str) -> String {
        let direction = match self.direction {
            Direction::Forward => "FORWARD",
            Direction::Backward => "BACKWARD",
            Direction::Absolute => "ABSOLUTE",
            Direction::Relative => "RELATIVE",
        };
        match self.count {
            i64::MAX => format!("FETCH {direction} ALL FROM {upstream}"),
            n => format!("FETCH {direction} {n} FROM {upstream}"),
        }
    }
}

/// How a guarded plan stands in the statement that is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wrap {
    /// It is the statement.
    #[default]
    Plain,
    /// `DECLARE name ... FOR` it.
    Declare(Named),
    /// `PREPARE name ... AS` it.
    Prepare(Named),
    /// FETCH from the cursor of this name on the server.
    Fetch(String),
    /// MOVE in it, sent as FETCH.
    Move(String),
    /// EXECUTE of the statement prepared under this name on the server.
    Execute(String),
    /// The end of a transaction in which cursors WITH HOLD run to their end.
    Commit,
}

/// A wrapper around a guarded statement that wants a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    head: &'static str,
    tail: String,
    /// The client's own text of the statement inside.
    pub query: String,
    /// The plan inside.
    pub inner: Arc<GuardedPlan>,
}

impl Named {
    /// The text under this name.
    pub fn text(&self, name: &str) -> String {
        format!("{} {name} {}", self.head, self.tail)
    }
}

/// What `statement` does with cursors and prepared statements.
pub(super) fn object_of(statement: &Statement, moves_names: impl Fn(&Node) -> bool) -> Option<Object> {
    let root = &statement.root;
    let named = |field: &str| Some(root.str(field)).filter(|n| !n.is_empty()).map(str::to_owned);
    let moves = || root.node("query").is_none_or(moves_names);
    match root.kind {
        "DeclareCursorStmt" => {
            let options = root.int("options");
            Some(Object::Declare {
                name: named("portalname")?,
                binary: options & BINARY != 0,
                hold: options & HOLD != 0,
                scroll: options & SCROLL != 0,
                moves_names: moves(),
            })
        }
        "FetchStmt" => Fetch::of(root).map(Object::Fetch),
        "ClosePortalStmt" => Some(Object::Close(named("portalname"))),
        "PrepareStmt" => Some(Object::Prepare { name: named("name")?, moves_names: moves() }),
        "ExecuteStmt" => Some(Object::Execute {
            name: named("name")?,
            arguments: root.list("params").iter().map(constant).collect(),
        }),
        _ => match names::executed(root) {
            Some(name) => Some(Object::Around(name.to_owned())),
            None => Some(names::current_of(statement)).filter(|n| !n.is_empty()).map(Object::CurrentOf),
        },
    }
}

/// The text of a constant that becomes a parameter's value as it stands.
fn constant(value: &Tree) -> Option<String> {
    let node = value.as_node()?;
    if node.kind == "TypeCast" {
        let to = node.node("type_name")?;
        let plain = to.list("typmods").is_empty() && to.list("array_bounds").is_empty();
        let known = ["int2", "int4", "int8", "text", "varchar", "uuid"];
        let name = to.names("names").last().is_some_and(|n| known.contains(n));
        return (plain && name).then(|| constant(node.field("arg")))?;
    }
    let val = node.node("val").filter(|_| node.kind == "AConst" && !node.flag("isnull"))?;
    match val.kind {
        "String" => Some(val.str("sval").to_owned()),
        "Integer" => Some(val.int("ival").to_string()),
        _ => None,
    }
}

/// A DECLARE or PREPARE taken apart: the statement in it, and how to put another in its place.
pub(super) struct Wrapper<'a> {
    root: &'a Node,
    head: &'static str,
    /// Between the name and the statement inside.
    middle: String,
    /// The statement inside, in the client's words.
    pub(super) inner: Statement,
    /// True for PREPARE: the values of parameters are not known when it is planned.
    pub(super) deferred: bool,
}

/// Takes a DECLARE or PREPARE apart; `None` for other statements, and for a text whose parts do not
/// read as the whole does.
pub(super) fn wrapper(statement: &Statement) -> Option<Wrapper<'_>> {
    let root = &statement.root;
    let (head, keyword, deferred) = match root.kind {
        "DeclareCursorStmt" => ("DECLARE", Token::For, false),
        "PrepareStmt" => ("PREPARE", Token::As, true),
        _ => return None,
    };
    let text = statement.text.as_str();
    let tokens = tokens(text)?;
    let (start, end, _) = *tokens.iter().find(|(_, _, t)| *t == keyword as i32)?;
    let middle = if deferred {
        let after_name = tokens.get(1)?.1;
        format!("{} AS", text.get(after_name..start)?)
    } else {
        let options = root.int("options");
        let mut words = String::new();
        for (bit, word) in [
            (BINARY, "BINARY "),
            (INSENSITIVE, "INSENSITIVE "),
            (ASENSITIVE, "ASENSITIVE "),
            (SCROLL, "SCROLL "),
            (NO_SCROLL, "NO SCROLL "),
        ] {
            if options & bit != 0 {
                words.push_str(word);
            }
        }
        format!("{words}CURSOR {}FOR", if options & HOLD != 0 { "WITH HOLD " } else { "" })
    };
    let mut inner = parse_ours(text.get(end..)?).ok()?.statements;
    let mut inner = inner.pop().filter(|_| inner.is_empty())?;
    if Some(&inner.root) != root.node("query") {
        return None;
    }
    if deferred {
        // Parameters that are declared and not used count as well.
        inner.max_param = inner.max_param.max(u16::try_from(root.list("argtypes").len()).ok()?);
    }
    inner.text = inner.text.trim().to_owned();
    Some(Wrapper { root, head, middle, inner, deferred })
}

impl Wrapper<'_> {
    /// The plan of the wrapper around the guarded `plan`.
    ///
    /// # Errors
    /// The text reads otherwise than the client's with the guarded statement in it.
    pub(super) fn around(&self, plan: GuardedPlan) -> Result<GuardedPlan, Refusal> {
        // A name of the kind that the session will give.
        let sample = format!("{RESERVED_PREFIX}c0");
        let inner = Arc::new(plan);
        // A cursor that does not say goes backward where its plan can (manual, DECLARE): a second scan's cannot.
        let unsaid = !self.deferred && self.root.int("options") & (SCROLL | NO_SCROLL) == 0;
        let locks = !self.inner.root.list("locking_clause").is_empty();
        let scroll = unsaid && !locks && inner.lineage.strategy == Strategy::Bound;
        let words = if scroll { "SCROLL " } else { "" };
        let tail = format!("{words}{} {}", self.middle, inner.text);
        let query = self.inner.text.clone();
        let named = Named { head: self.head, tail, query, inner: Arc::clone(&inner) };
        let text = named.text(&sample);
        if !self.reads_as_meant(&text, &sample, &inner.text, scroll) {
            return Err(cannot_guard("its cursor or prepared statement cannot be written another way", ""));
        }
        Ok(GuardedPlan {
            text,
            kind: StatementKind::Select,
            // The parameters of a PREPARE are those of its EXECUTE.
            client_params: if self.deferred { 0 } else { inner.client_params },
            // DECLARE and PREPARE read nothing yet; what an error says is told by the session.
            lineage: Lineage { strategy: Strategy::Carried, exact: true, reasons: Vec::new() },
            pins: Vec::new(),
            aims: Vec::new(),
            rows_show_pins: false,
            block: false,
            rows_are_witnesses: false,
            has_marker: false,
            wrap: if self.deferred { Wrap::Prepare(named) } else { Wrap::Declare(named) },
            ..GuardedPlan::clone(&inner)
        })
    }

    /// True when PostgreSQL's grammar reads `text` as the client's wrapper, under `name`, with
    /// `guarded` inside (and SCROLL, where that was added), and as nothing else.
    fn reads_as_meant(&self, text: &str, name: &str, guarded: &str, scroll: bool) -> bool {
        let (Ok(whole), Ok(inside)) = (parse_ours(text), parse_ours(guarded)) else { return false };
        let ([whole], [inside]) = (whole.statements.as_slice(), inside.statements.as_slice()) else {
            return false;
        };
        let mut expected = self.root.clone();
        for (field, value) in &mut expected.fields {
            match *field {
                "portalname" | "name" => *value = Tree::Str(name.to_owned()),
                "query" => *value = Tree::Node(inside.root.clone()),
                "options" if scroll => *value = Tree::Int(self.root.int("options") | SCROLL),
                _ => {}
            }
        }
        whole.root == expected
    }
}

/// Start, end and kind of every token but comments.
pub(super) fn tokens(text: &str) -> Option<Vec<(usize, usize, i32)>> {
    let scanned = pg_query::scan(text).ok()?;
    let comment = |t: i32| t == Token::SqlComment as i32 || t == Token::CComment as i32;
    scanned
        .tokens
        .iter()
        .filter(|t| !comment(t.token))
        .map(|t| Some((usize::try_from(t.start).ok()?, usize::try_from(t.end).ok()?, t.token)))
        .collect()
}

/// The plan of a FETCH or MOVE from a cursor over `plan`.
pub fn fetch_plan(plan: &GuardedPlan, fetch: &Fetch, upstream: &str) -> GuardedPlan {
    GuardedPlan {
        text: fetch.text(upstream),
        kind: StatementKind::Select,
        client_params: 0,
        rows_are_witnesses: fetch.moves,
        wrap: if fetch.moves { Wrap::Move(upstream.to_owned()) } else { Wrap::Fetch(upstream.to_owned()) },
        ..plan.clone()
    }
}

/// The plan of an EXECUTE of `plan`, prepared as `upstream`: the client's arguments, and `ours` behind
/// them as literals.
///
/// # Errors
/// The text made reads otherwise than the client's.
pub fn execute_plan(
    plan: &GuardedPlan,
    client: &str,
    upstream: &str,
    ours: &[String],
) -> Result<GuardedPlan, Refusal> {
    let text = execute_text(client, upstream, ours)
        .ok_or_else(|| cannot_guard("its arguments cannot be written another way", "Use plain constants."))?;
    Ok(GuardedPlan { text, client_params: 0, wrap: Wrap::Execute(upstream.to_owned()), ..plan.clone() })
}

fn execute_text(client: &str, upstream: &str, ours: &[String]) -> Option<String> {
    let original = parse_ours(client).ok()?.statements;
    let [original] = original.as_slice() else { return None };
    let arguments = original.root.list("params");
    let tokens = tokens(client)?;
    let name_end = tokens.get(1)?.1;
    let close = tokens.iter().rev().find(|t| t.2 != Token::Ascii59 as i32).filter(|_| !arguments.is_empty());
    let given = match close {
        Some((start, _, kind)) if *kind == Token::Ascii41 as i32 => client.get(name_end..*start)?,
        Some(_) => return None,
        None => "",
    };
    let literals: Vec<String> = ours.iter().map(|o| quote_literal(o)).collect();
    let text = match (given.is_empty(), literals.is_empty()) {
        (true, true) => format!("EXECUTE {upstream}"),
        (true, false) => format!("EXECUTE {upstream}({})", literals.join(", ")),
        // The line ends what a comment may have begun.
        (false, true) => format!("EXECUTE {upstream}{given}\n)"),
        (false, false) => format!("EXECUTE {upstream}{given}\n, {})", literals.join(", ")),
    };
    let made = parse_ours(&text).ok()?.statements;
    let [made] = made.as_slice() else { return None };
    let params = made.root.list("params");
    let (theirs, added) = params.split_at_checked(arguments.len())?;
    let literal = |node: &Tree, value: &String| node.as_node().is_some_and(|n| is_constant(n, value));
    let same = made.root.kind == "ExecuteStmt"
        && made.root.str("name") == upstream
        && made.root.fields.iter().all(|(f, _)| matches!(*f, "name" | "params"))
        && theirs == arguments
        && added.len() == ours.len()
        && added.iter().zip(ours).all(|(node, value)| literal(node, value));
    same.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse;

    fn one(text: &str) -> Statement {
        parse(text).expect("parses").statements.pop().expect("a statement")
    }

    fn taken(text: &str) -> Option<Object> {
        object_of(&one(text), |_| false)
    }

    #[test]
    fn a_wrapper_is_put_around_another_statement_with_all_its_options() {
        for text in [
            "DECLARE \"for\" BINARY INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR SELECT a FROM t WHERE b = $1",
            "declare c asensitive scroll cursor without hold for /* for */ select a from t where b = $1;",
            "DECLARE c CURSOR FOR SELECT substring(a FOR 2) FROM t WHERE b = $1 FOR UPDATE",
            "PREPARE p AS SELECT a AS x FROM t WHERE b = $1",
            "PREPARE \"as\" (int8, varchar(3), pg_catalog.text[] ) AS SELECT a FROM t WHERE b = $1",
        ] {
            let statement = one(text);
            let wrapper = wrapper(&statement).unwrap_or_else(|| panic!("{text}"));
            let named = Named {
                head: wrapper.head,
                tail: format!("{} SELECT 1", wrapper.middle),
                query: String::new(),
                inner: Arc::new(plan()),
            };
            let made = named.text("__glass_c7");
            assert!(wrapper.reads_as_meant(&made, "__glass_c7", "SELECT 1", false), "{made}");
            assert!(!wrapper.reads_as_meant(&made, "__glass_c7", "SELECT 2", false), "{made}");
            assert!(!wrapper.reads_as_meant(&made, "__glass_c8", "SELECT 1", false), "{made}");
            let other = if made.contains("CURSOR WITH HOLD") {
                made.replace("WITH HOLD", "")
            } else if made.contains("CURSOR") {
                made.replace("CURSOR", "CURSOR WITH HOLD")
            } else if made.contains("int8") {
                made.replace("int8", "int4")
            } else {
                made.replace("AS SELECT", "(int) AS SELECT")
            };
            assert_ne!(other, made);
            assert!(!wrapper.reads_as_meant(&other, "__glass_c7", "SELECT 1", false), "{other}");
        }
        let declared = one("PREPARE p(int, int) AS SELECT $1");
        assert_eq!(wrapper(&declared).expect("taken apart").inner.max_param, 2);
    }

    fn plan() -> GuardedPlan {
        GuardedPlan {
            text: "SELECT 1".into(),
            kind: StatementKind::Select,
            client_params: 0,
            principal_param: Some(1),
            grants_param: None,
            opened_param: None,
            lineage: Lineage { strategy: Strategy::Carried, exact: true, reasons: Vec::new() },
            pins: Vec::new(),
            aims: Vec::new(),
            rows_show_pins: false,
            block: false,
            filtered: true,
            closed: false,
            reads_others: false,
            rows_are_witnesses: false,
            has_marker: false,
            footprint: Default::default(),
            copy: None,
            origin: Default::default(),
            wrap: Wrap::Plain,
            observed: None,
        }
    }

    #[test]
    fn execute_gets_its_literals_behind_the_clients_arguments_and_nowhere_else() {
        let ours = ["o'amy\\".to_owned(), "{1,2}".to_owned()];
        for client in [
            "EXECUTE q",
            "EXECUTE q(1)",
            "execute \"Q\" ( 1, ')' , (2) ) ;",
            "EXECUTE /* ( */ q(1 -- ) \n, 'x' /* ) */) -- )",
            "EXECUTE q(ARRAY[1], now(), '--')",
        ] {
            for ours in [&ours[..], &[]] {
                let text = execute_text(client, "__glass_p3", ours).unwrap_or_else(|| panic!("{client}"));
                let root = one_of_ours(&text);
                let given = one(client).root.list("params").len();
                assert_eq!(root.list("params").len(), given + ours.len(), "{text}");
            }
        }
        assert_eq!(execute_text("EXECUTE q; EXECUTE r", "__glass_p3", &ours), None);
    }

    fn one_of_ours(text: &str) -> Node {
        parse_ours(text).expect("parses").statements.pop().expect("one").root
    }

    #[test]
    fn every_form_of_fetch_keeps_its_meaning_under_another_name() {
        for text in [
            "FETCH c",
            "FETCH NEXT FROM c",
            "FETCH PRIOR FROM c",
            "FETCH FIRST IN c",
            "FETCH LAST FROM c",
            "FETCH ABSOLUTE -3 FROM c",
            "FETCH RELATIVE 0 FROM c",
            "FETCH 5 c",
            "FETCH -5 c",
            "FETCH ALL c",
            "FETCH FORWARD ALL FROM c",
            "FETCH BACKWARD ALL FROM c",
            "FETCH BACKWARD 7 FROM c",
            "MOVE 3 IN c",
        ] {
            let Some(Object::Fetch(fetch)) = taken(text) else { panic!("{text}") };
            let mut expected = one(text).root;
            expected.fields.retain(|(f, _)| *f != "ismove");
            for (field, value) in &mut expected.fields {
                if *field == "portalname" {
                    *value = Tree::Str("__glass_c9".into());
                }
            }
            assert_eq!(one_of_ours(&fetch.text("__glass_c9")), expected, "{text}");
        }
    }

    #[test]
    fn only_plain_constants_are_taken_for_values() {
        let text = "EXECUTE q(7, 'x', -3, 7::int8, 1.5, NULL, 1+1, $1, '7'::numeric(1), true)";
        let Some(Object::Execute { arguments, .. }) = taken(text) else { panic!("{text}") };
        let known: Vec<_> = arguments.iter().map(|a| a.as_deref()).collect();
        let expected = [Some("7"), Some("x"), Some("-3"), Some("7")];
        assert_eq!(known[..4], expected);
        assert!(known[4..].iter().all(Option::is_none), "{known:?}");
    }
}
