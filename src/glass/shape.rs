//! A recognised call before its values are known: its columns and parameter types for Describe, and
//! stage two, which reads the values at Bind. Not for parse trees (`recognise`) and not for deciding
//! anything about the call.

use super::answer::{Column, Reply, TEXT};
use super::args::{self, ParamValues, Type, Value};
use super::call::{Call, Function, Kind, OpenCall, Parameter};
use super::{Binding, SessionId, note, unacceptable, unavailable};
use crate::catalog::Oid;
use crate::policy::Refusal;

/// Most characters of a patient as typed; no identifier is longer.
const MAX_TYPED_CHARS: usize = 128;

/// A recognised call whose arguments may still be bind parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What is called.
    pub function: Function,
    pub(super) form: Form,
    pub(super) arguments: Vec<(Parameter, Argument)>,
}

/// Where the call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// `SELECT * FROM glass.f()`
    Rows,
    /// `SELECT glass.f()`: one column of this name.
    Scalar(String),
}

/// An argument as it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Null,
    Text(String),
    Param { number: u16, cast: Option<Oid> },
    Array(Vec<Argument>),
}

impl Shape {
    /// The columns of the result, known before any value is: for Describe.
    pub fn columns(&self) -> Vec<Column> {
        let column = |name: &str| Column { name: name.to_owned(), type_oid: TEXT };
        match &self.form {
            Form::Rows => self.function.columns().iter().map(|c| column(c)).collect(),
            Form::Scalar(name) => vec![column(name)],
        }
    }

    /// The types of `$1` to the highest `$n` used, for ParameterDescription. `declared` is what
    /// Parse said (0 or missing: undeclared, then the cast or the parameter of the call decides).
    ///
    /// # Errors
    /// GLS-203 for a declared type that cannot be read.
    pub fn param_types(&self, declared: &[Oid]) -> Result<Vec<Oid>, Refusal> {
        let mut types = declared.to_vec();
        for (parameter, argument) in &self.arguments {
            match (argument, parameter.kind) {
                (Argument::Param { number, cast }, kind) => {
                    let default = if kind == Kind::List { 1009 } else { TEXT };
                    self.infer(&mut types, *number, cast.unwrap_or(default))?;
                }
                (Argument::Array(elements), _) => {
                    for element in elements {
                        if let Argument::Param { number, cast } = element {
                            self.infer(&mut types, *number, cast.unwrap_or(TEXT))?;
                        }
                    }
                }
                (Argument::Null | Argument::Text(_), _) => {}
            }
        }
        // Declared or skipped, and not used.
        for ty in types.iter_mut().filter(|ty| **ty == 0) {
            *ty = TEXT;
        }
        Ok(types)
    }

    /// Notes the type of `$number` unless it is declared or inferred already.
    fn infer(&self, types: &mut Vec<Oid>, number: u16, ty: Oid) -> Result<(), Refusal> {
        let index = usize::from(number.saturating_sub(1));
        if types.len() <= index {
            types.resize(index + 1, 0);
        }
        if let Some(slot) = types.get_mut(index) {
            *slot = if *slot == 0 { ty } else { *slot };
            if Type::by_oid(*slot).is_none() {
                let what = format!("parameter ${number} has a type that is not read");
                return Err(wrong_call(self.function, &what));
            }
        }
        Ok(())
    }

    /// Stage two: the call with its values.
    ///
    /// # Errors
    /// GLS-203 for missing, malformed or unavailable arguments.
    pub fn bind(&self, params: &dyn ParamValues) -> Result<Call, Refusal> {
        match self.function {
            Function::Open => self.bind_open(params).map(Call::Open),
            Function::Close => Ok(Call::Close {
                session: match self.text("session", params)? {
                    None => None,
                    Some(text) => Some(session_id(&text)?),
                },
            }),
            Function::Extend => Ok(Call::Extend {
                session: session_id(&self.required("session", params)?)?,
                ttl: self.text("ttl", params)?.map(|t| note::parse_duration(&t)).transpose()?,
                note: self.required("note", params)?,
            }),
            Function::Revoke => Ok(Call::Revoke {
                session: session_id(&self.required("session", params)?)?,
                note: self.required("note", params)?,
            }),
            Function::Status => Ok(Call::Status),
            Function::Help => Ok(Call::Help),
            Function::Why => match self.patients(params)?.as_slice() {
                [patient] => Ok(Call::Why { patient: patient.clone() }),
                _ => Err(wrong_call(self.function, "name one patient")),
            },
        }
    }

    fn bind_open(&self, params: &dyn ParamValues) -> Result<OpenCall, Refusal> {
        let patients = self.patients(params)?;
        match self.text("scope", params)?.as_deref() {
            None | Some("patients") => {}
            Some("patient") if patients.len() == 1 => {}
            Some("patient") => return Err(wrong_call(self.function, "scope patient is for one patient")),
            Some("critical" | "ward" | "site") => return Err(unavailable("this scope")),
            Some(_) => return Err(wrong_call(self.function, "scope is patient or patients")),
        }
        match self.text("access", params)?.as_deref() {
            None | Some("read") => {}
            Some("append") => return Err(unavailable("append access")),
            Some(_) => return Err(wrong_call(self.function, "access is read")),
        }
        let bind = match self.text("bind", params)?.as_deref() {
            None | Some("connection") => Binding::Connection,
            Some("principal") => Binding::Principal,
            Some("app") => return Err(unavailable("binding to an application")),
            Some(_) => return Err(wrong_call(self.function, "bind is connection or principal")),
        };
        Ok(OpenCall {
            patients,
            reason: self.required("reason", params)?,
            note: self.required("note", params)?,
            ttl: self.text("ttl", params)?.map(|t| note::parse_duration(&t)).transpose()?,
            bind,
            categories: self.names("categories", params)?,
            labels: self.names("labels", params)?,
        })
    }

    /// Categories or labels, each once, in order.
    fn names(&self, parameter: &str, params: &dyn ParamValues) -> Result<Vec<String>, Refusal> {
        let values = match self.value(parameter, params)? {
            Value::Null => Vec::new(),
            Value::Text(text) if text.trim_start().starts_with('{') => args::array_literal(&text)?,
            Value::Text(text) => vec![text],
            Value::List(list) => list,
        };
        let mut names: Vec<String> = Vec::new();
        for name in values.iter().map(|name| name.trim()) {
            if !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The patients named, each once, in order.
    fn patients(&self, params: &dyn ParamValues) -> Result<Vec<String>, Refusal> {
        let values = match (self.value("patient", params)?, self.value("patients", params)?) {
            (Value::Null, Value::Null) => return Err(wrong_call(self.function, "no patient is named")),
            (one, Value::Null) => one,
            (Value::Null, many) => many,
            _ => return Err(wrong_call(self.function, "patient and patients exclude each other")),
        };
        let values = match values {
            Value::Null => Vec::new(),
            Value::Text(text) if text.trim_start().starts_with('{') => args::array_literal(&text)?,
            Value::Text(text) => vec![text],
            Value::List(list) => list,
        };
        let mut patients: Vec<String> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for value in values {
            let typed = value.trim();
            if typed.is_empty()
                || typed.chars().count() > MAX_TYPED_CHARS
                || typed.chars().any(char::is_control)
            {
                return Err(wrong_call(
                    self.function,
                    "a patient is named by key or identifier, up to 128 characters",
                ));
            }
            if seen.insert(typed.to_owned()) {
                patients.push(typed.to_owned());
            }
        }
        if patients.is_empty() {
            return Err(wrong_call(self.function, "no patient is named"));
        }
        Ok(patients)
    }

    fn value(&self, name: &str, params: &dyn ParamValues) -> Result<Value, Refusal> {
        let Some((_, argument)) = self.arguments.iter().find(|(p, _)| p.name == name) else {
            return Ok(Value::Null);
        };
        match argument {
            Argument::Null => Ok(Value::Null),
            Argument::Text(text) => Ok(Value::Text(text.clone())),
            Argument::Param { number, .. } => args::read_param(*number, params),
            Argument::Array(elements) => {
                let mut values = Vec::with_capacity(elements.len());
                for element in elements {
                    let value = match element {
                        Argument::Text(text) => Value::Text(text.clone()),
                        Argument::Param { number, .. } => args::read_param(*number, params)?,
                        Argument::Null | Argument::Array(_) => Value::Null,
                    };
                    match value {
                        Value::Text(text) => values.push(text),
                        Value::Null | Value::List(_) => {
                            return Err(wrong_call(
                                self.function,
                                "a list has plain values in it, none of them NULL",
                            ));
                        }
                    }
                }
                Ok(Value::List(values))
            }
        }
    }

    /// One value; NULL is as if it were not given.
    fn text(&self, name: &str, params: &dyn ParamValues) -> Result<Option<String>, Refusal> {
        match self.value(name, params)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::List(_) => Err(wrong_call(self.function, &format!("{name} is one value, not a list"))),
        }
    }

    fn required(&self, name: &str, params: &dyn ParamValues) -> Result<String, Refusal> {
        self.text(name, params)?.ok_or_else(|| wrong_call(self.function, &format!("{name} is missing")))
    }

    /// A reply of [`super::Desk::decide`] in the form that was asked for, with the columns that
    /// [`Self::columns`] announced.
    pub fn present(&self, reply: Reply) -> Reply {
        match &self.form {
            Form::Rows => reply,
            Form::Scalar(name) => reply.scalar(name),
        }
    }
}

fn session_id(text: &str) -> Result<SessionId, Refusal> {
    SessionId::parse(text).ok_or_else(|| {
        unacceptable("that is no session")
            .with_hint("A session looks like G-7KQ2M4XT; SELECT * FROM glass.status() lists yours.")
    })
}

/// GLS-203 for a call that is written wrongly, with one that is not.
pub(super) fn wrong_call(function: Function, what: &str) -> Refusal {
    unacceptable(format!("glass.{}: {what}", function.name()))
        .with_hint(format!("Write: {}", function.example()))
}
