//! Break-glass: the emergency override as a state machine without I/O, and its SQL interface.
//!
//! A call (`SELECT * FROM glass.open(...)`) is read in two stages: [`recognise`] at Parse gives its
//! [`Shape`] (columns, parameter types), [`Shape::bind`] at Bind gives the [`Call`]. [`Desk::decide`]
//! turns a call into transitions and a reply. The caller makes the transitions durable in the
//! ledger FIRST, then hands them to [`Desk::apply`], then sends the reply. The state is a fold over
//! transitions, so that a restart restores it from the ledger. Time and randomness come in as values.
//!
//! Not here: sockets, the ledger's own files, the guard of a statement (`policy::guard_conjunct`).
//! Not in this version: second factor, approval, review, append access, scopes `critical`, `ward`
//! and `site`, binding to an application. A call that asks for one of them is refused, never
//! answered as if the parameter were absent.

mod answer;
mod args;
mod call;
mod decide;
mod desk;
mod id;
mod note;
mod notice;
mod recognise;
mod report;
mod shape;
mod transition;

pub use answer::{Column, Reply};
pub use args::{NoParams, ParamValue, ParamValues};
pub use call::{Bind, Call, Function, OpenCall};
pub use decide::{Decision, Facts, Principal, ResolvedPatient};
pub use desk::{Applied, Desk, Grants, Session, State};
pub use id::{ConnectionId, SessionId};
pub use notice::{Notice, NoticeKind, NoticesSeen};
pub use recognise::{may_mention, recognise};
pub use shape::Shape;
pub use transition::{Binding, Change, Ended, Ending, Extended, Named, Opened, Transition, TransitionError};

use crate::policy::{GlsCode, Refusal};

/// GLS-203: the request is not acceptable as it stands.
fn unacceptable(message: impl Into<String>) -> Refusal {
    Refusal::new(GlsCode::CannotBreakGlass, message)
}

/// GLS-203: a part of break-glass that this version does not have.
fn unavailable(what: impl std::fmt::Display) -> Refusal {
    unacceptable(format!("{what} is not available in this version; nothing was done"))
        .with_hint("SELECT * FROM glass.help() lists what is.")
}

#[cfg(test)]
mod tests;
