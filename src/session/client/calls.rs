//! `glass.*` calls: recognised before anything is sent, answered here, in simple and extended query.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;

use crate::glass::{self, Call, Decision, Facts, NoParams, ParamValue, ParamValues, Principal, Reply, Shape};
use crate::ledger::Priority;
use crate::ledger::record::Outcome;
use crate::policy::{GlsCode, Refusal};
use crate::session::names::statements::{Decided, Portal, Prepared};
use crate::session::peer::Stream;
use crate::session::run::Mode;
use crate::session::server::report;
use crate::session::{Ended, Session};
use crate::sql::parse::messages;
use crate::wire::message::{self, Bind, Parse};

/// Recognised, or refused because it mentions `glass` in a form that is not answered.
pub(in crate::session) type Recognised = Result<Shape, Refusal>;

/// The parameters of a portal, as `glass` reads them.
struct Bound<'a> {
    values: &'a [Option<Bytes>],
    formats: &'a [i16],
    types: &'a [u32],
}

impl ParamValues for Bound<'_> {
    fn param(&self, number: u16) -> Option<ParamValue<'_>> {
        let i = usize::from(number).checked_sub(1)?;
        let value = self.values.get(i)?;
        let format = match self.formats {
            [] => 0,
            [all] => *all,
            each => each.get(i).copied().unwrap_or(0),
        };
        Some(ParamValue {
            type_oid: self.types.get(i).copied().unwrap_or(0),
            binary: format == 1,
            bytes: value.as_deref(),
        })
    }
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// The call in this text, if it is one or tries to be.
    pub(in crate::session) fn glass_call(&self, text: &str) -> Option<Recognised> {
        // A call is short; a longer text that calls a glass function is refused as an unknown one.
        const LONGEST: usize = 8 * 1024;
        if !glass::may_mention(text) || text.len() > LONGEST {
            return None;
        }
        let recognised = messages(text, |parsed| match parsed.protobuf.stmts.as_slice() {
            [] => None,
            [one] => glass::recognise(one),
            several => several.iter().any(|s| glass::recognise(s).is_some()).then(|| {
                Err(Refusal::new(
                    GlsCode::CannotBreakGlass,
                    "a glass call must be sent as a statement of its own",
                ))
            }),
        });
        recognised.ok().flatten()
    }

    /// A simple query.
    pub(in crate::session) async fn glass_simple(
        &mut self,
        text: &Arc<str>,
        call: Recognised,
    ) -> Result<(), Ended> {
        self.quiesce().await?;
        if self.skipping {
            return Ok(());
        }
        let outcome = match &call {
            Ok(shape) => match shape.bind(&NoParams) {
                Ok(call) => self.glass_run(text, &call).await.map(|reply| shape.present(reply)),
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal.clone()),
        };
        match outcome {
            Ok(reply) => {
                let mut out = BytesMut::new();
                put_description(&mut out, &reply.columns, 0)?;
                put_rows(&mut out, &reply)?;
                out.extend_from_slice(&message::command_complete(&reply.tag)?);
                out.extend_from_slice(&message::ready_for_query(self.status));
                self.push_glass_notices();
                self.outbox.push(&out);
                Ok(())
            }
            Err(refusal) => self.refuse_simple(text, &refusal).await,
        }
    }

    /// Parse.
    pub(in crate::session) async fn glass_parse(
        &mut self,
        parse: Parse,
        text: Arc<str>,
        call: Recognised,
    ) -> Result<(), Ended> {
        let checked =
            call.and_then(|shape| shape.param_types(&parse.parameter_types).map(|types| (shape, types)));
        let (shape, types) = match checked {
            Ok(checked) => checked,
            Err(refusal) => return self.refuse_extended(&text, &refusal).await,
        };
        let prepared = Prepared {
            text,
            upstream: String::new(),
            types,
            declared: Arc::default(),
            decided: Decided::Glass(Arc::new(shape)),
            context: self.context_id,
            layout: None,
        };
        self.statements.prepared.insert(parse.name, prepared);
        self.answer(Bytes::from_static(b"1\0\0\0\x04"));
        Ok(())
    }

    /// Bind.
    pub(in crate::session) fn glass_bind(&mut self, bind: Bind, prepared: Prepared) -> Result<(), Ended> {
        self.insert_portal(&bind, &prepared, None, Vec::new());
        self.answer(Bytes::from_static(b"2\0\0\0\x04"));
        Ok(())
    }

    /// Describe of a statement or portal.
    pub(in crate::session) fn glass_describe(
        &mut self,
        shape: &Shape,
        name: &str,
        is_statement: bool,
    ) -> Result<(), Ended> {
        let mut out = BytesMut::new();
        let mut format = 0;
        if is_statement {
            let types = self.statements.prepared.get(name).map(|p| p.types.clone()).unwrap_or_default();
            out.extend_from_slice(&message::encode_parameter_description(&types)?);
        } else if let Some(portal) = self.statements.portals.get(name) {
            format = portal.result_formats.first().copied().unwrap_or(0);
        }
        let columns: Vec<String> = shape.columns().into_iter().map(|c| c.name).collect();
        put_description(&mut out, &columns, format)?;
        self.answer(out.freeze());
        Ok(())
    }

    /// Execute.
    pub(in crate::session) async fn glass_execute(
        &mut self,
        portal: &Portal,
        shape: &Shape,
    ) -> Result<(), Ended> {
        // What was asked for before is answered under the break-glass session of then.
        self.quiesce().await?;
        if self.skipping {
            return Ok(());
        }
        let params = Bound { values: &portal.raw, formats: &portal.raw_formats, types: &portal.types };
        let outcome = match shape.bind(&params) {
            Ok(call) => self.glass_run(&portal.text, &call).await,
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(reply) => {
                let reply = shape.present(reply);
                let mut out = BytesMut::new();
                put_rows(&mut out, &reply)?;
                out.extend_from_slice(&message::command_complete(&reply.tag)?);
                self.answer(out.freeze());
                Ok(())
            }
            Err(refusal) => self.refuse_extended(&portal.text, &refusal).await,
        }
    }

    /// Decides a call, makes what it changes durable, and gives the reply.
    async fn glass_run(&mut self, text: &Arc<str>, call: &Call) -> Result<Reply, Refusal> {
        self.refresh_rules();
        let world = Arc::clone(&self.world);
        let resolved = world.resolve_patients(call.patients()).await?;
        let assigned = match (call, resolved.first().and_then(|p| p.key.as_deref())) {
            (Call::Why { .. }, Some(key)) => world.assigned(&self.principal, key).await,
            (Call::Why { .. }, None) => Some(false),
            _ => None,
        };
        let rules = world.rules();
        let profile = self.role.break_glass.as_ref().and_then(|name| rules.policy.policy.profiles.get(name));
        let principal = Principal {
            user: &self.principal,
            role: &self.role,
            profile,
            connection: self.connection,
            address: &self.identity.from.address,
            application: self.identity.from.application_name.as_deref().unwrap_or_default(),
        };
        let facts = Facts { resolved: &resolved, assigned, random: rand::random() };
        let Decision { transitions, reply } = {
            let _guard = world.deciding().await;
            let decision = world.with_desk(|desk| desk.decide(call, &principal, &facts, Timestamp::now()))?;
            if !world.transact(&decision.transitions).await.map_err(|e| report::ledger_refusal(&e))? {
                return Err(Refusal::new(GlsCode::SessionEnded, "the break-glass session ended meanwhile"));
            }
            decision
        };
        if transitions.is_empty() {
            // Transitions are records of their own; a look at the state is a statement like any other.
            let run = self.new_run(vec![Arc::clone(text)], Mode::Verbatim, Vec::new());
            if let Some(mut run) = self.runs.remove(&run) {
                for body in run.final_records(&self.identity, Outcome::Ok) {
                    self.world.note(body, Priority::Ordinary);
                }
            }
        }
        self.refresh_grants();
        Ok(reply)
    }
}

/// A RowDescription of text columns.
fn put_description(out: &mut BytesMut, columns: &[String], format: i16) -> Result<(), Ended> {
    message::put_message(out, b'T', |out| {
        out.put_u16(u16::try_from(columns.len()).map_err(|_| message::MessageError::TooMany)?);
        for name in columns {
            out.put_slice(name.as_bytes());
            out.put_u8(0);
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(25);
            out.put_i16(-1);
            out.put_i32(-1);
            out.put_i16(format);
        }
        Ok(())
    })?;
    Ok(())
}

/// The DataRows of a reply; text is the same in both formats.
fn put_rows(out: &mut BytesMut, reply: &Reply) -> Result<(), Ended> {
    for row in &reply.rows {
        let values: Vec<Option<&[u8]>> = row.iter().map(|v| v.as_ref().map(String::as_bytes)).collect();
        out.extend_from_slice(&message::encode_data_row(&values)?);
    }
    Ok(())
}
