//! Finding the queries directly inside a piece of AST (not those inside those), mutably or not.
//! The traversal itself is sqlparser's derived visitor, so that no field is forgotten.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, Visit, VisitMut, Visitor, VisitorMut};

struct Direct<F> {
    depth: usize,
    f: F,
}

impl<E, F: FnMut(&mut Query) -> Result<(), E>> VisitorMut for Direct<F> {
    type Break = E;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<E> {
        self.depth += 1;
        if self.depth == 1
            && let Err(e) = (self.f)(query)
        {
            return ControlFlow::Break(e);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<E> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

struct DirectRef<F> {
    depth: usize,
    f: F,
}

impl<E, F: FnMut(&Query) -> Result<(), E>> Visitor for DirectRef<F> {
    type Break = E;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<E> {
        self.depth += 1;
        if self.depth == 1
            && let Err(e) = (self.f)(query)
        {
            return ControlFlow::Break(e);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<E> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// Calls `f` for every query directly inside `node`.
pub(crate) fn each_query_mut<N, E, F>(node: &mut N, f: F) -> Result<(), E>
where
    N: VisitMut,
    F: FnMut(&mut Query) -> Result<(), E>,
{
    match node.visit(&mut Direct { depth: 0, f }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(e) => Err(e),
    }
}

/// Calls `f` for every query directly inside `node`.
pub(crate) fn each_query<N, E, F>(node: &N, f: F) -> Result<(), E>
where
    N: Visit,
    F: FnMut(&Query) -> Result<(), E>,
{
    match node.visit(&mut DirectRef { depth: 0, f }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(e) => Err(e),
    }
}
