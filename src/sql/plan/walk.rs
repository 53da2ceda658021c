//! Walks over pieces of AST. The traversal is sqlparser's derived visitor, so that no field is
//! forgotten; it is instantiated here once, over trait objects, because every further instance
//! costs a copy of code for the whole grammar.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

use super::PlanError;

/// A reader; every method answers whether to stop.
pub(crate) trait Look {
    /// On the way into a query.
    fn query(&mut self, _: &Query) -> bool {
        false
    }
    /// On the way out of it.
    fn query_end(&mut self) {}
    /// An expression.
    fn expr(&mut self, _: &Expr) -> bool {
        false
    }
    /// The name of a table.
    fn relation(&mut self, _: &ObjectName) -> bool {
        false
    }
    /// A literal or parameter.
    fn value(&mut self, _: &ValueWithSpan) -> bool {
        false
    }
}

/// A writer.
pub(crate) trait Edit {
    /// On the way into a query.
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        Ok(())
    }
    /// On the way out of it.
    fn query_end(&mut self) {}
    /// On the way into a SELECT.
    fn select(&mut self, _: &mut Select) -> Result<(), PlanError> {
        Ok(())
    }
    /// On the way into a statement.
    fn statement(&mut self, _: &mut Statement) -> Result<(), PlanError> {
        Ok(())
    }
    /// An expression.
    fn expr(&mut self, _: &mut Expr) {}
    /// The name of a table.
    fn relation(&mut self, _: &mut ObjectName) -> Result<(), PlanError> {
        Ok(())
    }
}

struct Looker<'a>(&'a mut dyn Look);

fn stop_if(stop: bool) -> ControlFlow<()> {
    if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

impl Visitor for Looker<'_> {
    type Break = ();
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        stop_if(self.0.query(query))
    }
    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.0.query_end();
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        stop_if(self.0.expr(expr))
    }
    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        stop_if(self.0.relation(name))
    }
    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        stop_if(self.0.value(value))
    }
}

struct Editor<'a>(&'a mut dyn Edit);

fn go_on(result: Result<(), PlanError>) -> ControlFlow<PlanError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(e) => ControlFlow::Break(e),
    }
}

impl VisitorMut for Editor<'_> {
    type Break = PlanError;
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        go_on(self.0.query(query))
    }
    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<PlanError> {
        self.0.query_end();
        ControlFlow::Continue(())
    }
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        go_on(self.0.select(select))
    }
    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<PlanError> {
        go_on(self.0.statement(statement))
    }
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PlanError> {
        self.0.expr(expr);
        ControlFlow::Continue(())
    }
    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<PlanError> {
        go_on(self.0.relation(name))
    }
}

/// Reads `node`; true when the reader stopped.
pub(crate) fn look<N: Visit>(node: &N, reader: &mut dyn Look) -> bool {
    node.visit(&mut Looker(reader)).is_break()
}

/// Edits `node`.
pub(crate) fn edit<N: VisitMut>(node: &mut N, writer: &mut dyn Edit) -> Result<(), PlanError> {
    match node.visit(&mut Editor(writer)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(e) => Err(e),
    }
}

struct Direct<'a> {
    depth: usize,
    f: &'a mut dyn FnMut(&mut Query) -> Result<(), PlanError>,
}

impl Edit for Direct<'_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        self.depth += 1;
        if self.depth == 1 { (self.f)(query) } else { Ok(()) }
    }
    fn query_end(&mut self) {
        self.depth -= 1;
    }
}

/// Calls `f` for every query directly inside `node`, not for those inside those.
pub(crate) fn each_query_mut<N: VisitMut>(
    node: &mut N,
    f: &mut dyn FnMut(&mut Query) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    edit(node, &mut Direct { depth: 0, f })
}

struct DirectRef<'a> {
    depth: usize,
    f: &'a mut dyn FnMut(&Query) -> bool,
}

impl Look for DirectRef<'_> {
    fn query(&mut self, query: &Query) -> bool {
        self.depth += 1;
        self.depth == 1 && (self.f)(query)
    }
    fn query_end(&mut self) {
        self.depth -= 1;
    }
}

/// True when `f` holds for a query directly inside `node`.
pub(crate) fn any_query<N: Visit>(node: &N, f: &mut dyn FnMut(&Query) -> bool) -> bool {
    look(node, &mut DirectRef { depth: 0, f })
}

struct Exprs<'a>(&'a mut dyn FnMut(&Expr) -> bool);

impl Look for Exprs<'_> {
    fn expr(&mut self, expr: &Expr) -> bool {
        (self.0)(expr)
    }
}

/// True when `f` holds for an expression anywhere in `node`.
pub(crate) fn any_expr<N: Visit>(node: &N, f: &mut dyn FnMut(&Expr) -> bool) -> bool {
    look(node, &mut Exprs(f))
}

struct Relations<'a>(&'a mut dyn FnMut(&ObjectName) -> bool);

impl Look for Relations<'_> {
    fn relation(&mut self, name: &ObjectName) -> bool {
        (self.0)(name)
    }
}

/// True when `f` holds for a table name anywhere in `node`.
pub(crate) fn any_relation<N: Visit>(node: &N, f: &mut dyn FnMut(&ObjectName) -> bool) -> bool {
    look(node, &mut Relations(f))
}
