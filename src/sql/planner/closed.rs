//! What is refused since a whole table is closed to a role. Not here: what keeps the rows from it (`policy::closed`).

use super::{Context, Decider};
use crate::policy::{GlsCode, Refusal};
use crate::sql::resolve::ProtectedOccurrence;

impl Decider<'_> {
    /// GLS-204 in place of the empty answer that the guard would give: a table all of whose rows are of a category
    /// that is closed. That tells nothing of the rows.
    pub(super) fn whole_table_closed(&self, occurrences: &[ProtectedOccurrence]) -> Option<Refusal> {
        let Context { role, policy, .. } = self.context;
        occurrences.iter().find_map(|o| {
            let table = policy.table_for(role, o.oid)?;
            let category = table.closed.as_ref()?.whole()?;
            let message = format!("{} is of category {category}, which is closed to role {}", table.name, role.name);
            Some(Refusal::new(GlsCode::CategoryNotOpened, message).with_hint(format!(
                "Where your profile allows it, a break-glass session that names the category opens it for its patients: \
                 SELECT glass.open('<patient>', 'BTG', 'why', categories => ARRAY['{category}'])"
            )))
        })
    }
}
