//! RowDescription and ParameterDescription: of a guarded statement the client sees its own columns and
//! parameters; ours are noted, so that its rows can be taken apart.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::session::names::statements::Prepared;
use crate::session::peer::Stream;
use crate::session::run::ops::Op;
use crate::session::server::layout::Layout;
use crate::session::server::unexpected;
use crate::session::{Ended, Session};
use crate::sql::{ColumnOrigin, GuardedPlan, Origin};
use crate::wire::frame::Frame;
use crate::wire::message::{self, ServerTag};

impl<C: Stream, S: Stream> Session<C, S> {
    pub(in crate::session) fn on_description(&mut self, frame: Frame, tag: ServerTag) -> Result<(), Ended> {
        match self.ops.head() {
            Some(Op::Query { .. }) => {
                never_ours(&frame)?;
                return self.pass_to_run(frame, tag);
            }
            Some(Op::Probe) => return Ok(()),
            Some(Op::Origin { plan }) => {
                let columns = if tag == ServerTag::NoData { Vec::new() } else { origins(frame.body())? };
                // Another session may have been first; both were told the same.
                let _ = plan.origin.set(Origin { columns });
                self.ops.pop();
                return Ok(());
            }
            Some(Op::Describe { .. }) => {}
            _ => return Err(unexpected(tag)),
        }
        let Some(Op::Describe { shown, plan, statement, run }) = self.ops.pop() else {
            return Err(unexpected(tag));
        };
        let Some(plan) = plan else {
            never_ours(&frame)?;
            // A simple query that was sent as extended messages answers no NoData.
            if shown && !(run.is_some() && tag == ServerTag::NoData) {
                match run {
                    Some(id) => match self.runs.get_mut(&id).filter(|run| run.runs_first) {
                        Some(run) => run.description = Some(frame.into_raw()),
                        None => {
                            self.open_gate(id);
                            self.show(&frame.into_raw());
                        }
                    },
                    None => self.show(&frame.into_raw()),
                }
            }
            return Ok(());
        };
        if plan.copy.is_some() && tag == ServerTag::NoData {
            // A portal of a COPY; its layout is known from the query inside.
            if shown {
                self.show(&frame.into_raw());
            }
            return Ok(());
        }
        let mut visible = None;
        let layout = if tag == ServerTag::NoData {
            Layout::default()
        } else {
            let (layout, mut body) = Layout::split(frame.body())?;
            if let Some(origin) = plan.origin.get() {
                body = crate::session::server::layout::restored(body, origin)?;
            }
            visible = Some(body);
            layout
        };
        let answer = match visible {
            Some(body) if !plan.rows_are_witnesses && plan.copy.is_none() => whole(b'T', &body)?,
            _ => Bytes::from_static(b"n\0\0\0\x04"),
        };
        let no_data = answer.first() == Some(&b'n');
        let layout = Arc::new(layout);
        self.described_layout = Some(Arc::clone(&layout));
        if let Some(prepared) = self.described(statement.as_deref(), &plan) {
            prepared.layout = Some(Arc::clone(&layout));
        }
        // Portals and executions that were bound before the description came.
        let portals = self.statements.portals.values_mut().filter(|p| p.layout.is_none());
        for portal in portals.filter(|p| p.plan().is_some_and(|p| Arc::ptr_eq(p, &plan))) {
            portal.layout = Some(Arc::new(layout.with_formats(&portal.result_formats)));
        }
        let waiting = self.runs.iter_mut().filter(|r| r.layout.is_none());
        for run in waiting.filter(|r| r.plan().is_some_and(|p| Arc::ptr_eq(p, &plan))) {
            run.layout = Some(Arc::new(layout.with_formats(&run.formats)));
        }
        match run {
            Some(id) => {
                if let Some(run) = self.runs.get_mut(&id) {
                    run.layout = Some(layout);
                    if !no_data {
                        run.window.extend_from_slice(&answer);
                    }
                }
            }
            None if shown => self.show(&answer),
            None => {}
        }
        Ok(())
    }

    pub(in crate::session) fn on_parameters(&mut self, frame: Frame) -> Result<(), Ended> {
        if matches!(self.ops.head(), Some(Op::Origin { .. })) {
            return Ok(());
        }
        let Some(Op::Describe { shown, plan, statement, .. }) = self.ops.head() else {
            return Err(unexpected(ServerTag::ParameterDescription));
        };
        let (shown, plan, statement) = (*shown, plan.clone(), statement.clone());
        let Some(plan) = plan else {
            if shown {
                self.show(&frame.into_raw());
            }
            return Ok(());
        };
        let mut types = message::decode_parameter_description(frame.body())?;
        types.truncate(usize::from(plan.client_params));
        if shown {
            self.show(&message::encode_parameter_description(&types)?);
        }
        if let Some(prepared) = self.described(statement.as_deref(), &plan) {
            prepared.types.clone_from(&types);
        }
        self.described_types = types;
        Ok(())
    }

    /// The statement of this name if it still is the one that was described: in a pipeline the name
    /// may belong to another one by now, whose hidden columns stand elsewhere.
    pub(in crate::session) fn described(
        &mut self,
        name: Option<&str>,
        plan: &Arc<GuardedPlan>,
    ) -> Option<&mut Prepared> {
        let prepared = self.statements.prepared.get_mut(name?)?;
        prepared.guarded().is_some_and(|p| Arc::ptr_eq(p, plan)).then_some(prepared)
    }
}

/// Where the columns of a RowDescription come from.
fn origins(body: &[u8]) -> Result<Vec<ColumnOrigin>, Ended> {
    let fields = message::decode_row_description(body)?;
    let origin = |f: message::Field| ColumnOrigin {
        name: f.name,
        table: f.table,
        attribute: f.attribute,
        type_oid: f.type_oid,
        type_modifier: f.type_modifier,
    };
    Ok(fields.into_iter().map(origin).collect())
}

/// The last line of defence: columns of ours never reach a client, whatever is believed to stand behind
/// a name. No client can name a column so.
fn never_ours(description: &Frame) -> Result<(), Ended> {
    let ours = crate::policy::RESERVED_PREFIX.as_bytes();
    if description.body().windows(ours.len()).any(|w| w == ours) {
        return Err(Ended::Protocol("a reply has columns of the proxy's that were not expected".into()));
    }
    Ok(())
}

/// One whole message.
fn whole(tag: u8, body: &[u8]) -> Result<Bytes, Ended> {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    message::put_message(&mut out, tag, |o| {
        o.extend_from_slice(body);
        Ok(())
    })?;
    Ok(out.freeze())
}
