//! A server that understands the protocol and nothing of SQL: every message gets an answer of the right
//! kind. Rows of guarded texts have the hidden columns that the text names, and every value says what it
//! is, so that it can be found where it must not be.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::wire::frame::{Frame, FrameDecoder, Limits};
use crate::wire::message::{
    self, Bind, ClientTag, Execute, Field, Parse, Report, Severity, Status, Target, TargetKind,
};

/// In a witness column of row n; a client never sees it.
pub(super) const WITNESS: &str = "WITNESS";
/// In a column of the client's in row n; seen once a durable record names the witness of that row.
pub(super) const ROW: &str = "ROW!";
/// In rows that only carry witnesses.
pub(super) const HIDDEN: &str = "HID!";
/// In errors that would quote a row.
pub(super) const LEAK: &str = "LEAK!";

pub(super) struct Server {
    decoder: FrameDecoder,
    /// Messages of the proxy that have no answer yet.
    pending: VecDeque<Frame>,
    prepared: HashMap<String, String>,
    portals: HashMap<String, String>,
    /// Cursors and prepared statements of SQL: the text that stands behind a name.
    named: Vec<(String, String)>,
    status: Status,
    /// Up to the next Sync nothing is answered.
    skipping: bool,
    /// Data is taken; true inside extended query.
    copying: Option<bool>,
    /// Rows told apart.
    pub(super) rows: u64,
    /// Everything the client sent: a text that stands there is not ours.
    pub(super) clients: Vec<u8>,
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|w| w == needle)
}

/// Hidden columns that a text names, in its order, without their prefix.
fn hidden(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for part in text.split("__glass_").skip(1) {
        let digits = part.get(1..).map_or(0, |p| p.bytes().take_while(u8::is_ascii_digit).count());
        let name = part.get(..=digits).unwrap_or_default().to_owned();
        if digits > 0 && name.starts_with(['k', 's', 'm']) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn first_word(text: &str) -> String {
    let word: String = text.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    word.to_ascii_uppercase()
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            decoder: FrameDecoder::new(Limits::only(1 << 30), BytesMut::new()),
            pending: VecDeque::new(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            named: Vec::new(),
            status: Status::Idle,
            skipping: false,
            copying: None,
            rows: 0,
            clients: Vec::new(),
        }
    }

    /// Takes what the session wrote: whole messages of the protocol, always.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        while let Some(frame) = self.decoder.frame().expect("the session writes frames") {
            assert!(ClientTag::of(frame.tag()).is_some(), "a server does not know {:#04x}", frame.tag());
            self.pending.push_back(frame);
        }
    }

    pub(super) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Answers the next message, with up to `rows` rows; `fail`: with this error instead.
    pub(super) fn answer(&mut self, rows: u8, fail: Option<u8>) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(frame) = self.pending.pop_front() {
            self.reply(&frame, rows, fail, &mut out);
        }
        out.freeze()
    }

    fn reply(&mut self, frame: &Frame, rows: u8, fail: Option<u8>, out: &mut BytesMut) {
        let Some(tag) = ClientTag::of(frame.tag()) else { return };
        if let Some(extended) = self.copying {
            match tag {
                ClientTag::CopyData | ClientTag::Flush => return,
                ClientTag::Sync if extended => return,
                ClientTag::CopyDone | ClientTag::CopyFail => {
                    self.copying = None;
                    if tag == ClientTag::CopyDone && fail.is_none() {
                        put(out, message::command_complete(&format!("COPY {rows}")));
                    } else {
                        self.error(fail.unwrap_or(1), false, !extended, out);
                    }
                    if !extended {
                        out.extend_from_slice(&message::ready_for_query(self.status));
                    }
                    return;
                }
                _ => {
                    self.copying = None;
                    return self.error(1, false, !extended, out);
                }
            }
        }
        if tag == ClientTag::Sync {
            self.skipping = false;
            if let Some(code) = fail {
                self.error(code, false, true, out);
            }
            out.extend_from_slice(&message::ready_for_query(self.status));
            return;
        }
        if self.skipping {
            return;
        }
        let aborted = self.status == Status::Failed;
        match tag {
            ClientTag::Parse => {
                let Ok(parse) = Parse::decode(frame.body()) else { return self.error(0, false, false, out) };
                let ends = matches!(first_word(&parse.query).as_str(), "ROLLBACK" | "COMMIT" | "END" | "");
                let taken = !parse.name.is_empty() && self.prepared.contains_key(&parse.name);
                // What must fail: a text that PostgreSQL's grammar refuses.
                let wrong = pg_query::parse(&parse.query, 0).is_err();
                if fail.is_some() || taken || wrong || (aborted && !ends) {
                    return self.error(fail.unwrap_or(if aborted { 7 } else { 0 }), false, false, out);
                }
                self.prepared.insert(parse.name, parse.query);
                out.extend_from_slice(b"1\0\0\0\x04");
            }
            ClientTag::Bind => {
                let bind = Bind::decode(&frame.body_bytes()).ok();
                let text = bind.as_ref().and_then(|b| self.prepared.get(&b.statement).cloned());
                let (Some(bind), Some(text), None) = (bind, text, fail) else {
                    return self.error(fail.unwrap_or(2), false, false, out);
                };
                self.portals.insert(bind.portal, text);
                out.extend_from_slice(b"2\0\0\0\x04");
            }
            ClientTag::Describe => {
                let target = Target::decode(frame.body()).ok().filter(|_| fail.is_none());
                let text = target.as_ref().and_then(|t| self.target(t).cloned());
                let (Some(target), Some(text)) = (target, text) else {
                    return self.error(fail.unwrap_or(2), false, false, out);
                };
                if target.kind == TargetKind::Statement {
                    let count = (1..=9).filter(|n| text.contains(&format!("${n}"))).count();
                    put(out, message::encode_parameter_description(&vec![25; count]));
                }
                self.describe(&text, out);
            }
            ClientTag::Close => {
                if let Ok(target) = Target::decode(frame.body()) {
                    match target.kind {
                        TargetKind::Statement => self.prepared.remove(&target.name),
                        TargetKind::Portal => self.portals.remove(&target.name),
                    };
                }
                out.extend_from_slice(b"3\0\0\0\x04");
            }
            ClientTag::Execute => {
                let execute = Execute::decode(frame.body()).ok();
                let text = execute.as_ref().and_then(|e| self.portals.get(&e.portal).cloned());
                let (Some(execute), Some(text)) = (execute, text) else {
                    return self.error(fail.unwrap_or(2), false, false, out);
                };
                self.execute(&text, rows, execute.max_rows, fail, true, out);
            }
            ClientTag::Query => {
                // A new simple query ends the unnamed ones.
                self.prepared.remove("");
                self.portals.remove("");
                let text = message::decode_query(frame.body()).unwrap_or("SELECT 1").to_owned();
                let parts: Vec<&str> = text.split(';').filter(|p| !p.trim().is_empty()).collect();
                if parts.is_empty() {
                    out.extend_from_slice(b"I\0\0\0\x04");
                }
                for part in parts {
                    let word = first_word(part);
                    if self.status == Status::Failed
                        && !matches!(word.as_str(), "ROLLBACK" | "COMMIT" | "END")
                    {
                        self.error(7, false, true, out);
                        break;
                    }
                    if word != "COPY" && self.selects(part) {
                        self.describe(part, out);
                    }
                    self.execute(part, rows, 0, fail, false, out);
                    if fail.is_some() || self.copying.is_some() {
                        break;
                    }
                }
                if self.copying.is_none() {
                    out.extend_from_slice(&message::ready_for_query(self.status));
                }
            }
            ClientTag::Flush
            | ClientTag::Terminate
            | ClientTag::CopyData
            | ClientTag::CopyDone
            | ClientTag::CopyFail
            | ClientTag::Sync
            | ClientTag::Password => {}
            ClientTag::FunctionCall => {
                if self.status == Status::Failed || frame.body().len() < 4 {
                    self.error(7, false, true, out);
                } else {
                    out.extend_from_slice(b"V\0\0\0\x08\xff\xff\xff\xff");
                }
                out.extend_from_slice(&message::ready_for_query(self.status));
            }
        }
    }

    fn target(&self, target: &Target) -> Option<&String> {
        match target.kind {
            TargetKind::Statement => self.prepared.get(&target.name),
            TargetKind::Portal => self.portals.get(&target.name),
        }
    }

    /// What a text stands for: the one behind the name that it fetches from or executes.
    fn meaning(&self, text: &str) -> String {
        if !matches!(first_word(text).as_str(), "FETCH" | "MOVE" | "EXECUTE") {
            return text.to_owned();
        }
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let known = self.named.iter().rev().find(|(name, _)| words.contains(&name.as_str()));
        known.map_or_else(|| text.to_owned(), |(_, behind)| behind.clone())
    }

    fn selects(&self, text: &str) -> bool {
        let returning = text.contains("RETURNING") || text.contains("returning");
        match first_word(text).as_str() {
            "SELECT" | "WITH" | "TABLE" | "VALUES" | "SHOW" | "FETCH" | "EXECUTE" | "" => true,
            _ => returning,
        }
    }

    /// The columns of a reply: two of the client's, ours among them.
    fn columns(&self, text: &str) -> Vec<String> {
        let behind = self.meaning(text);
        let mut names = vec!["v0".to_owned(), "v1".to_owned()];
        if !contains(&self.clients, behind.as_bytes()) {
            // Where they stand depends on them alone: a COPY and the query inside it have the same.
            let hidden = hidden(&behind);
            let at = hidden.iter().map(String::len).sum::<usize>() % 3;
            for (i, name) in hidden.into_iter().enumerate() {
                names.insert((at + i).min(names.len()), format!("__glass_{name}"));
            }
        }
        names
    }

    fn describe(&self, text: &str, out: &mut BytesMut) {
        let word = first_word(text);
        if word == "COPY" || !self.selects(text) {
            out.extend_from_slice(b"n\0\0\0\x04");
            return;
        }
        let field = |name: String| Field {
            name,
            table: 0,
            attribute: 0,
            type_oid: 25,
            type_size: -1,
            type_modifier: -1,
            format: 0,
        };
        let fields: Vec<Field> = self.columns(text).into_iter().map(field).collect();
        put(out, message::encode_row_description(&fields));
    }

    fn execute(
        &mut self,
        text: &str,
        rows: u8,
        most: i32,
        fail: Option<u8>,
        extended: bool,
        out: &mut BytesMut,
    ) {
        let word = first_word(text);
        let guarded = self.columns(text).iter().any(|c| c.starts_with("__glass_"));
        if text.contains("current_schemas") {
            for schema in ["pg_catalog", "public"] {
                put(out, message::encode_data_row(&[Some(b"s"), Some(schema.as_bytes())]));
            }
            return put(out, message::command_complete("SELECT 2"));
        }
        if word == "COPY" && fail.is_none() {
            return self.copy(text, rows, extended, out);
        }
        let selects = self.selects(text);
        let count = match (selects, u8::try_from(most)) {
            (true, Ok(most @ 1..)) => rows.min(most),
            (true, _) => rows,
            (false, _) => 0,
        };
        for i in 0..count {
            let row = self.row(text, i);
            let values: Vec<_> = row.iter().map(|v| v.as_deref().map(str::as_bytes)).collect();
            put(out, message::encode_data_row(&values));
        }
        if let Some(code) = fail {
            return self.error(code, guarded, !extended, out);
        }
        if selects && most > 0 && i32::from(count) >= most {
            out.extend_from_slice(b"s\0\0\0\x04");
            return;
        }
        self.effects(&word, text);
        let tag = match word.as_str() {
            "INSERT" => format!("INSERT 0 {rows}"),
            "UPDATE" | "DELETE" | "FETCH" | "MOVE" => format!("{word} {rows}"),
            _ if selects => format!("SELECT {count}"),
            other => other.to_owned(),
        };
        put(out, message::command_complete(&tag));
    }

    fn effects(&mut self, word: &str, text: &str) {
        match word {
            "BEGIN" | "START" if self.status == Status::Idle => self.status = Status::InTransaction,
            "COMMIT" | "END" | "ROLLBACK" if !text.contains(" TO ") => {
                self.status = Status::Idle;
                self.portals.clear();
            }
            "DECLARE" | "PREPARE" => {
                if let Some(name) = text.split_whitespace().nth(1) {
                    self.named.push((name.trim_matches('"').to_owned(), text.to_owned()));
                }
            }
            "DISCARD" | "DEALLOCATE" => {
                let all = text.contains("ALL") || text.contains("all");
                let name = text.split_whitespace().last().unwrap_or_default().to_owned();
                self.prepared.retain(|n, _| !all && *n != name);
            }
            _ => {}
        }
    }

    /// One row of a reply.
    fn row(&mut self, text: &str, i: u8) -> Vec<Option<String>> {
        let columns = self.columns(text);
        self.rows += 1;
        let n = self.rows;
        let keyed = columns.iter().any(|c| c.starts_with("__glass_k") || c.starts_with("__glass_s"));
        let marked = columns.iter().any(|c| c.starts_with("__glass_m"));
        let hidden = marked && i % 3 == 2;
        let value = |column: &String| match column.strip_prefix("__glass_").and_then(|c| c.chars().next()) {
            Some('k') => Some(format!("{WITNESS}{n}.")),
            Some('s') => Some(format!("{{{WITNESS}{n}.,\"{WITNESS}\"}}")),
            Some('m') => (!hidden).then(|| "t".to_owned()),
            Some(_) => None,
            None if hidden => Some(format!("{HIDDEN}{n}")),
            None if keyed => Some(format!("{ROW}{n}.")),
            None => Some(format!("v{n}")),
        };
        columns.iter().map(value).collect()
    }

    fn copy(&mut self, text: &str, rows: u8, extended: bool, out: &mut BytesMut) {
        let upper = text.to_ascii_uppercase();
        let (csv, binary) = (upper.contains("CSV"), u8::from(upper.contains("BINARY")));
        if upper.contains("STDIN") {
            let inside =
                text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(l, _)| l);
            let columns = inside.matches(',').count() as u16 + 1;
            copy_response(b'G', binary, columns, out);
            self.copying = Some(extended);
            return;
        }
        let columns = self.columns(text);
        copy_response(b'H', binary, columns.len() as u16, out);
        if binary == 1 {
            put_raw(out, b'd', b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        }
        let delimiter = if csv { "," } else { "\t" };
        if upper.contains("HEADER") && binary == 0 {
            put_raw(out, b'd', format!("{}\n", columns.join(delimiter)).as_bytes());
        }
        for i in 0..rows {
            let row = self.row(text, i);
            if binary == 1 {
                let values: Vec<_> = row.iter().map(|v| v.as_deref().map(str::as_bytes)).collect();
                let encoded = message::encode_data_row(&values).unwrap();
                put_raw(out, b'd', &encoded[5..]);
                continue;
            }
            let field = |v: &Option<String>| match v {
                None if csv => String::new(),
                None => "\\N".to_owned(),
                Some(v) if csv => format!("\"{}\"", v.replace('"', "\"\"")),
                Some(v) => v.clone(),
            };
            let line = row.iter().map(field).collect::<Vec<_>>().join(delimiter);
            put_raw(out, b'd', format!("{line}\n").as_bytes());
        }
        if binary == 1 {
            put_raw(out, b'd', b"\xff\xff");
        }
        put_raw(out, b'c', b"");
        put(out, message::command_complete(&format!("COPY {rows}")));
    }

    fn error(&mut self, code: u8, guarded: bool, simple: bool, out: &mut BytesMut) {
        const CODES: [&str; 8] = ["42601", "57014", "26000", "23505", "22012", "22P02", "40001", "25P02"];
        let code = CODES[usize::from(code) % CODES.len()];
        let mut report = Report::error(code, "it failed").position(3);
        if guarded && matches!(&code[..2], "22" | "23") {
            report = Report::error(code, format!("duplicate \"{LEAK}\" 7")).detail(format!("Key ({LEAK})"));
        }
        out.extend_from_slice(&report.error_response());
        self.skipping = !simple;
        if self.status == Status::InTransaction {
            self.status = Status::Failed;
        }
    }

    /// What a server may say at any time.
    pub(super) fn at_any_time(choice: u8) -> Bytes {
        let status = |name: &str, value: &str| message::parameter_status(name, value).unwrap();
        match choice % 6 {
            0 => Report::new(Severity::Notice, "00000", "hello").notice_response(),
            1 => Bytes::from_static(b"A\0\0\0\x0f\0\0\0\x01chan\0p\0"),
            2 => status("application_name", "x"),
            3 => status("client_encoding", "LATIN1"),
            4 => status("client_encoding", "UTF8"),
            _ => Report::fatal("57P01", "terminating connection").error_response(),
        }
    }
}

fn put(out: &mut BytesMut, message: Result<Bytes, message::MessageError>) {
    out.extend_from_slice(&message.unwrap());
}

fn put_raw(out: &mut BytesMut, tag: u8, body: &[u8]) {
    out.extend_from_slice(&[tag]);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
}

fn copy_response(tag: u8, binary: u8, columns: u16, out: &mut BytesMut) {
    let mut body = vec![binary];
    body.extend_from_slice(&columns.to_be_bytes());
    (0..columns).for_each(|_| body.extend_from_slice(&[0, binary]));
    put_raw(out, tag, &body);
}
