//! Parse: a statement is decided when it is prepared; a guarded one is prepared with its guard in it.

use std::sync::Arc;

use crate::session::client::refusals::not_text;
use crate::session::names::statements::{Decided, Prepared};
use crate::session::peer::Stream;
use crate::session::run::ops::{Op, Subject, Undo};
use crate::session::{Ended, Session};
use crate::sql::GuardedPlan;
use crate::sql::cache::Form;
use crate::sql::objects::Wrap;
use crate::wire::frame::Frame;
use crate::wire::message::{self, Parse, Target, TargetKind};

/// Statement name of the client's own text of a guarded statement, while the server is asked about it.
const ORIGIN_NAME: &str = "__glass_origin";

impl<C: Stream, S: Stream> Session<C, S> {
    /// A Parse of the unnamed statement that is refused here: on the server, too, the one before it goes before
    /// the new text is looked at (postgres.c, `exec_parse_message`).
    fn drop_unnamed(&mut self, name: &str) {
        if name.is_empty()
            && let Some(previous) = self.statements.prepared.remove(name)
        {
            let target = Target { kind: TargetKind::Statement, name: previous.upstream.clone() };
            let undo = Undo::Statement { name: String::new(), previous: Some(Box::new(previous)) };
            self.send(target.close(), Op::Close { hidden: true, undo: Some(undo) });
        }
    }

    pub(in crate::session) async fn on_parse(&mut self, frame: Frame) -> Result<(), Ended> {
        let parse = match Parse::decode(frame.body()) {
            Ok(parse) => parse,
            Err(message::MessageError::NotUtf8) => {
                return self.refuse_extended("(not UTF-8)", &not_text(&message::MessageError::NotUtf8)).await;
            }
            Err(e) => return self.malformed(&e),
        };
        if !parse.name.is_empty()
            && let Some(before) = self.statements.prepared.get(&parse.name)
        {
            if before.upstream == parse.name && !before.is_glass() {
                // The server knows it too and says so in its own words, unless the transaction failed
                // before; what the client wants under the name is not sent.
                self.ask_text(&parse.query, &parse.parameter_types);
                self.note_failed(&parse.query, Some("42P05".to_owned()));
                let ends = crate::sql::planner::transaction_end(&parse.query).is_some();
                let query = if ends { "" } else { "SELECT 1" }.to_owned();
                let taken = Parse { query, parameter_types: Vec::new(), ..parse };
                self.send(taken.encode(), Op::Parse { hidden: false, undo: None, subject: None });
                return Ok(());
            }
            self.ask_text(&parse.query, &parse.parameter_types);
            let message = format!("prepared statement \"{}\" already exists", parse.name);
            return self.unknown(&parse.query, "42P05", message);
        }
        if self.objects.prepared.contains_key(&parse.name) {
            let free = Box::pin(self.statement_is_free(&parse.name)).await?;
            if self.skipping {
                return Ok(());
            }
            if !free {
                self.ask_text(&parse.query, &parse.parameter_types);
                let message = format!("prepared statement \"{}\" already exists", parse.name);
                return self.unknown(&parse.query, "42P05", message);
            }
        }
        let text: Arc<str> = parse.query.as_str().into();
        if let Some(call) = self.glass_call(&text) {
            return Box::pin(self.glass_parse(parse, text, call)).await;
        }
        let planned = match self.decide(&text, Form::Prepared(&parse.parameter_types)).await? {
            Ok(planned) => planned,
            Err(refusal) => {
                self.drop_unnamed(&parse.name);
                return self.refuse_extended(&text, &refusal).await;
            }
        };
        let refusal = planned.refusal().or_else(|| self.parameter_refusal(&parse.parameter_types, &planned));
        if let Some(refusal) = refusal {
            self.drop_unnamed(&parse.name);
            return self.refuse_extended(&text, &refusal).await;
        }
        let decided = match planned.statements.as_slice() {
            [] => Decided::Empty,
            [one] => Decided::Sent(Arc::clone(one)),
            _ => {
                self.drop_unnamed(&parse.name);
                let message = "cannot insert multiple commands into a prepared statement";
                let error = message::Report::error("42601", message).error_response();
                self.refuse_in_servers_words(&text, &error);
                self.skipping = true;
                return Ok(());
            }
        };
        let mut prepared = Prepared {
            text,
            upstream: parse.name.clone(),
            types: parse.parameter_types.clone(),
            declared: parse.parameter_types.as_slice().into(),
            decided,
            context: self.context_id,
            layout: None,
        };
        let previous = self.statements.prepared.remove(&parse.name);
        let undo = Undo::Statement { name: parse.name.clone(), previous: previous.map(Box::new) };
        match prepared.guarded().cloned() {
            None => {
                self.forward(frame);
                self.ops.push(Op::Parse { hidden: false, undo: Some(undo), subject: None });
            }
            Some(plan) => {
                prepared.upstream = self.upstream_name(&parse.name);
                self.send_parse(&prepared, &plan, false, undo);
            }
        }
        self.statements.prepared.insert(parse.name, prepared);
        Ok(())
    }

    /// The server's name for a guarded statement. The unnamed one stays unnamed: whatever the client
    /// prepares next takes its place on both sides.
    pub(in crate::session) fn upstream_name(&mut self, client: &str) -> String {
        if client.is_empty() {
            return String::new();
        }
        self.objects.fresh_for('g', client)
    }

    /// Parse of a guarded text, and a Describe that tells us its layout.
    pub(in crate::session) fn send_parse(
        &mut self,
        prepared: &Prepared,
        plan: &Arc<GuardedPlan>,
        hidden: bool,
        undo: Undo,
    ) {
        self.ask_origin(&prepared.text, &prepared.types, plan);
        let ours = [plan.principal_param, plan.grants_param, plan.opened_param].into_iter().flatten().max();
        let mut parameter_types = prepared.types.clone();
        if ours.is_some() {
            // Types of ours are cast in the text; zero leaves the client's undeclared ones open.
            parameter_types.truncate(usize::from(plan.client_params));
        }
        let parse = Parse { name: prepared.upstream.clone(), query: plan.text.clone(), parameter_types };
        let name = undo.name().to_owned();
        let subject =
            Subject { text: Arc::clone(&prepared.text), plan: Arc::clone(plan), parameters: Vec::new() };
        let subject = Some(Box::new(subject));
        self.send(parse.encode(), Op::Parse { hidden, undo: Some(undo), subject });
        let target = Target { kind: TargetKind::Statement, name: prepared.upstream.clone() };
        let op =
            Op::Describe { shown: false, plan: Some(Arc::clone(plan)), statement: Some(name), run: None };
        self.send(target.describe(), op);
    }

    /// Has the server read a text of the client's that will not be kept: an error in it comes first.
    fn ask_text(&mut self, text: &str, types: &[u32]) {
        let target = Target { kind: TargetKind::Statement, name: ORIGIN_NAME.to_owned() };
        let parse =
            Parse { name: ORIGIN_NAME.to_owned(), query: text.to_owned(), parameter_types: types.to_vec() };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        self.send(target.close(), Op::Close { hidden: true, undo: None });
    }

    /// Has the server read the client's own text, if it was not asked before what it says of it. Nothing
    /// of it is ever executed.
    pub(in crate::session) fn ask_origin(&mut self, text: &str, types: &[u32], plan: &Arc<GuardedPlan>) {
        // A COPY has no columns to be described, and is not planned when it is parsed; what stands around
        // a query of SQL's cursors and prepared statements names things that the server knows by other names.
        if plan.copy.is_some() || plan.wrap != Wrap::Plain || plan.origin.get().is_some() {
            return;
        }
        let parse =
            Parse { name: ORIGIN_NAME.to_owned(), query: text.to_owned(), parameter_types: types.to_vec() };
        let target = Target { kind: TargetKind::Statement, name: ORIGIN_NAME.to_owned() };
        self.send(parse.encode(), Op::Parse { hidden: true, undo: None, subject: None });
        self.send(target.describe(), Op::Origin { plan: Arc::clone(plan) });
        self.send(target.close(), Op::Close { hidden: true, undo: None });
    }
}
