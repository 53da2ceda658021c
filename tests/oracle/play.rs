//! One query, played on one connection in one of the ways that clients know: simple, with parameters, prepared and
//! run several times, row by row, through a cursor, prepared in SQL, copied. The connection is idle afterwards.

use crate::common::wire::{
    Column, Failure, Reply, Row, Wire, bind_as, close_statement, describe_portal, describe_statement,
    execute, parse_typed, sync,
};
use crate::data::CANARIES;
use crate::generate::Query;
use crate::sql::Parameters;

/// How a query is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Simple,
    /// Parse, Bind, Describe, Execute, Sync, with parameters.
    Extended,
    /// A named statement, described and run this often: the server goes over to a generic plan after the fifth.
    Prepared(usize),
    /// A portal with a row limit.
    Stepwise,
    /// DECLARE and FETCH.
    Cursor,
    /// PREPARE and EXECUTE.
    Named,
    /// COPY (query) TO STDOUT.
    Copy,
}

impl Way {
    /// By a number.
    pub(crate) fn of(number: u64) -> Way {
        match number % 16 {
            0..=5 => Way::Simple,
            6..=9 => Way::Extended,
            10 => Way::Prepared(3),
            11 => Way::Prepared(7),
            12 => Way::Stepwise,
            13 => Way::Cursor,
            14 => Way::Named,
            _ => Way::Copy,
        }
    }
}

/// What a client was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) failure: Option<Failure>,
    pub(crate) columns: Option<Vec<Column>>,
    /// The rows of every run.
    pub(crate) runs: Vec<Vec<Row>>,
    pub(crate) commands: Vec<String>,
    /// Hidden text that was in what came.
    pub(crate) canary: Option<String>,
}

impl Answer {
    fn add(&mut self, reply: &Reply) {
        if self.failure.is_none() {
            self.failure = reply.failure();
        }
        if let (None, Some(columns)) = (&self.columns, reply.columns()) {
            self.columns = Some(columns);
        }
        self.commands.extend(reply.commands());
    }

    /// The code of a refusal by pgglass, with its words.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.failure.as_ref().filter(|f| f.message.starts_with("GLS-")).map(|f| f.message.as_str())
    }
}

/// Plays it.
pub(crate) fn play(wire: &mut Wire, query: &Query, way: Way) -> Answer {
    let mut answer = Answer::default();
    let literal = query.node.text();
    match way {
        Way::Simple => {
            let reply = wire.query(&literal);
            answer.add(&reply);
            answer.runs.push(reply.rows());
        }
        Way::Extended => {
            let (sql, parameters) = query.node.with_parameters();
            let sent = [
                parsed("", &sql, &parameters),
                bound("", "", &parameters),
                describe_portal(""),
                execute("", 0),
                sync(),
            ];
            wire.send(&sent.concat());
            let reply = wire.reply();
            answer.add(&reply);
            answer.runs.push(reply.rows());
        }
        Way::Prepared(times) => {
            let (sql, parameters) = query.node.with_parameters();
            wire.send(&[parsed("s", &sql, &parameters), describe_statement("s"), sync()].concat());
            let mut reply = wire.reply();
            answer.add(&reply);
            for _ in 0..times {
                if reply.failure().is_some() {
                    break;
                }
                wire.send(&[bound("", "s", &parameters), execute("", 0), sync()].concat());
                reply = wire.reply();
                answer.add(&reply);
                answer.runs.push(reply.rows());
            }
            wire.send(&[close_statement("s"), sync()].concat());
            wire.reply();
        }
        Way::Stepwise => {
            let (sql, parameters) = query.node.with_parameters();
            let sent = [
                parsed("", &sql, &parameters),
                bound("p", "", &parameters),
                describe_portal("p"),
                execute("p", 1),
                execute("p", 2),
                execute("p", 0),
                sync(),
            ];
            wire.send(&sent.concat());
            let reply = wire.reply();
            answer.add(&reply);
            answer.runs.push(reply.rows());
        }
        Way::Cursor => {
            let mut rows = Vec::new();
            for sql in
                ["BEGIN", &format!("DECLARE c CURSOR FOR {literal}"), "FETCH 2 FROM c", "FETCH ALL FROM c"]
            {
                let reply = wire.query(sql);
                answer.add(&reply);
                rows.extend(reply.rows());
                if answer.failure.is_some() {
                    break;
                }
            }
            answer.runs.push(rows);
            wire.query("ROLLBACK");
        }
        Way::Named => {
            let (sql, parameters) = query.node.with_parameters();
            let typed: Vec<String> = parameters.iter().map(|(oid, _)| type_name(*oid).to_owned()).collect();
            let types = if typed.is_empty() { String::new() } else { format!("({})", typed.join(", ")) };
            let values: Vec<String> = parameters
                .iter()
                .map(|(_, v)| {
                    v.as_ref().map_or("NULL".to_owned(), |v| format!("'{}'", v.replace('\'', "''")))
                })
                .collect();
            let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
            let reply = wire.query(&format!("PREPARE q{types} AS {sql}"));
            answer.add(&reply);
            for _ in 0..2 {
                if answer.failure.is_some() {
                    break;
                }
                let reply = wire.query(&format!("EXECUTE q{values}"));
                answer.add(&reply);
                answer.runs.push(reply.rows());
            }
            if reply.failure().is_none() {
                wire.query("DEALLOCATE q");
            }
        }
        Way::Copy => {
            let reply = wire.query(&format!("COPY ({literal}) TO STDOUT"));
            answer.add(&reply);
            let lines = reply.messages.iter().filter(|m| m.tag == b'd');
            answer
                .runs
                .push(lines.map(|m| vec![Some(String::from_utf8_lossy(&m.body).into_owned())]).collect());
        }
    }
    answer.canary = canary(&wire.received);
    wire.forget();
    answer
}

/// Hidden text among these bytes, with what is around it.
pub(crate) fn canary(bytes: &[u8]) -> Option<String> {
    CANARIES.iter().find_map(|canary| {
        let at = bytes.windows(canary.len()).position(|w| w.eq_ignore_ascii_case(canary.as_bytes()))?;
        let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
        Some(String::from_utf8_lossy(around).into_owned())
    })
}

fn parsed(name: &str, sql: &str, parameters: &Parameters) -> Vec<u8> {
    let types: Vec<u32> = parameters.iter().map(|(oid, _)| *oid).collect();
    parse_typed(name, sql, &types)
}

fn bound(portal: &str, statement: &str, parameters: &Parameters) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> =
        parameters.iter().map(|(_, v)| v.as_ref().map(|v| v.as_bytes())).collect();
    bind_as(portal, statement, (&[], &values), &[])
}

fn type_name(oid: u32) -> &'static str {
    match oid {
        23 => "int4",
        20 => "int8",
        1700 => "numeric",
        25 => "text",
        701 => "float8",
        1082 => "date",
        1184 => "timestamptz",
        16 => "bool",
        3802 => "jsonb",
        1007 => "int4[]",
        1009 => "text[]",
        2950 => "uuid",
        114 => "json",
        _ => "orc.state",
    }
}
