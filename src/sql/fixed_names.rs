//! Statements whose names mean the same whatever the search path is: what may follow `SET search_path` in one message,
//! since names are resolved before anything of it runs. When in doubt, they are not fixed.

use super::tree::{Node, Tree};
use crate::catalog::{Catalog, QualifiedName};

/// Types that an unqualified name may mean here: built in, and commonly written. What the grammar itself qualifies
/// (`int`, `timestamp`) has two names.
const TYPES: [&str; 16] = [
    "text",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "bool",
    "date",
    "uuid",
    "json",
    "jsonb",
    "bytea",
    "name",
    "oid",
    "regclass",
    "timestamptz",
];

/// True when no name in the query or row change `root` depends on the search path.
pub(super) fn are_fixed(root: &Node, catalog: &Catalog) -> bool {
    let known = ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"];
    known.contains(&root.kind) && Fixed { catalog }.node(root, &mut Vec::new())
}

struct Fixed<'a> {
    catalog: &'a Catalog,
}

impl Fixed<'_> {
    /// `ctes`: names of WITH queries seen so far. An unqualified relation is one of them or not fixed; one of another
    /// block is a relation, which the checks of `resolve` have found under the old path, so it is not taken for fixed.
    fn node(&self, node: &Node, ctes: &mut Vec<String>) -> bool {
        let before = ctes.len();
        if let Some(with) = node.node("with_clause") {
            // Each sees those before it, or all of them; a name that is also a relation's is left alone.
            for cte in with.nodes("ctes") {
                let name = cte.str("ctename");
                if self.catalog.by_name.keys().any(|n| n.name == name) {
                    return false;
                }
                ctes.push(name.to_owned());
            }
        }
        let own = match node.kind {
            "RangeVar" => {
                !node.str("schemaname").is_empty() && !node.str("schemaname").starts_with("pg_temp")
                    || ctes.iter().any(|c| c == node.str("relname"))
            }
            "FuncCall" => match node.names("funcname").as_slice() {
                [name] => self.only_builtin(name),
                [_, _] => true,
                _ => false,
            },
            "TypeName" => match node.names("names").as_slice() {
                [name] => self.only_builtin_type(name),
                // `%TYPE` and set-returning forms do not occur in queries.
                [_, _] => true,
                _ => false,
            },
            "AExpr" => self.only_builtin_operator(&node.names("name")),
            "SubLink" => self.only_builtin_operator(&node.names("oper_name")),
            "SortBy" => self.only_builtin_operator(&node.names("use_op")),
            "CollateClause" => node.names("collname").len() == 2,
            // `(expr).name` and `alias.name` may be calls.
            "AIndirection" => node.names("indirection").iter().all(|n| self.only_builtin(n)),
            "ColumnRef" => {
                let names = node.names("fields");
                names.len() < 2 || names.last().is_some_and(|n| self.only_builtin(n))
            }
            "IntoClause" => false,
            _ => true,
        };
        let all = own && node.fields.iter().all(|(_, value)| self.value(value, ctes));
        ctes.truncate(before);
        all
    }

    fn value(&self, value: &Tree, ctes: &mut Vec<String>) -> bool {
        match value {
            Tree::Node(node) => self.node(node, ctes),
            Tree::List(items) => items.iter().all(|item| self.value(item, ctes)),
            Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => true,
        }
    }

    fn only_builtin(&self, name: &str) -> bool {
        self.catalog.functions.get(name).into_iter().flatten().all(|f| f.schema == "pg_catalog")
    }

    fn only_builtin_type(&self, name: &str) -> bool {
        TYPES.contains(&name)
            && !self.catalog.foreign_types.contains_key(name)
            // The row type of a relation.
            && !self.catalog.by_name.keys().any(|n: &QualifiedName| n.name == name)
    }

    fn only_builtin_operator(&self, name: &[&str]) -> bool {
        match name {
            [] => true,
            [op] => !self.catalog.foreign_operators.contains(*op),
            [schema, _] => *schema == "pg_catalog",
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture::Clinic;
    use crate::sql::parse::parse_ours;

    fn fixed(sql: &str) -> bool {
        let clinic = Clinic::new();
        are_fixed(&parse_ours(sql).unwrap().statements[0].root, clinic.context().catalog)
    }

    #[test]
    fn what_is_qualified_or_can_only_be_built_in_is_fixed() {
        for sql in [
            "SELECT 1",
            "SELECT name, count(*) FROM public.patients WHERE mrn = $1 AND name LIKE 'x%' GROUP BY name ORDER BY 1",
            "WITH q AS (SELECT mrn FROM public.patients) SELECT * FROM q JOIN public.ward w ON w.mrn = q.mrn",
            "SELECT lower(p.name), p.dob::text, x::timestamp FROM public.patients p",
            "SELECT 1 FROM public.patients WHERE mrn IN (SELECT mrn FROM public.ward)",
            "UPDATE public.patients SET name = 'x' WHERE mrn = 1",
        ] {
            assert!(fixed(sql), "{sql}");
        }
        for sql in [
            "SELECT * FROM patients",
            "SELECT * FROM pg_class",
            "SELECT * FROM pg_temp.patients",
            "SELECT reverse(name) FROM public.patients",
            "SELECT name::mood FROM public.patients",
            "SELECT name::ward FROM public.patients",
            "SELECT name COLLATE german FROM public.patients",
            "WITH q AS (SELECT 1) SELECT (SELECT 1 FROM ward) FROM q",
            "WITH patients AS (SELECT 1) SELECT * FROM patients",
            "SELECT * FROM (WITH q AS (SELECT 1) SELECT 1 FROM q) x, q",
            "SELECT * INTO TEMP t FROM public.patients",
            "COPY public.patients TO STDOUT",
            "CREATE TEMP TABLE t (a int)",
        ] {
            assert!(!fixed(sql), "{sql}");
        }
    }
}
