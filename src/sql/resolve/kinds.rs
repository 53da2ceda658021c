//! The node kinds that a restricted role's query may contain. Whatever is not here is refused:
//! a node of a later grammar must be looked at before it passes.

const KNOWN: &[&str] = &[
    // Statements and clauses.
    "SelectStmt",
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "MergeStmt",
    "MergeWhenClause",
    "WithClause",
    "CommonTableExpr",
    "CteSearchClause",
    "CteCycleClause",
    "OnConflictClause",
    "InferClause",
    "IndexElem",
    "ReturningClause",
    "ReturningOption",
    "LockingClause",
    "IntoClause",
    "WindowDef",
    "SortBy",
    "GroupingSet",
    // FROM.
    "RangeVar",
    "Alias",
    "JoinExpr",
    "RangeSubselect",
    "RangeFunction",
    "RangeTableSample",
    "RangeTableFunc",
    "RangeTableFuncCol",
    "ColumnDef",
    "JsonTable",
    "JsonTableColumn",
    "JsonTablePathSpec",
    // Expressions.
    "ResTarget",
    "ColumnRef",
    "ParamRef",
    "AConst",
    "AStar",
    "AExpr",
    "BoolExpr",
    "SubLink",
    "FuncCall",
    "NamedArgExpr",
    "TypeCast",
    "TypeName",
    "CollateClause",
    "NullTest",
    "BooleanTest",
    "CaseExpr",
    "CaseWhen",
    "CoalesceExpr",
    "MinMaxExpr",
    "SqlValueFunction",
    "AArrayExpr",
    "RowExpr",
    "AIndirection",
    "AIndices",
    "GroupingFunc",
    "SetToDefault",
    "MultiAssignRef",
    "XmlExpr",
    "XmlSerialize",
    "CurrentOfExpr",
    // SQL/JSON.
    "JsonFuncExpr",
    "JsonObjectConstructor",
    "JsonArrayConstructor",
    "JsonArrayQueryConstructor",
    "JsonAggConstructor",
    "JsonObjectAgg",
    "JsonArrayAgg",
    "JsonKeyValue",
    "JsonValueExpr",
    "JsonFormat",
    "JsonOutput",
    "JsonReturning",
    "JsonArgument",
    "JsonParseExpr",
    "JsonScalarExpr",
    "JsonSerializeExpr",
    "JsonIsPredicate",
    "JsonBehavior",
    // Values.
    "Integer",
    "Float",
    "Boolean",
    "String",
    "BitString",
    "List",
];

/// True when a node of this kind has been looked at.
pub(crate) fn known_kind(kind: &str) -> bool {
    KNOWN.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every node kind that libpg_query can produce, but the known ones, is refused.
    #[test]
    fn utility_and_planner_nodes_are_unknown() {
        for kind in [
            "DoStmt",
            "CallStmt",
            "CreateFunctionStmt",
            "CopyStmt",
            "ExplainStmt",
            "PrepareStmt",
            "ExecuteStmt",
            "DeclareCursorStmt",
            "VariableSetStmt",
            "CreateTableAsStmt",
            "ViewStmt",
            "RuleStmt",
            "CreateTrigStmt",
            "Query",
            "RangeTblEntry",
            "Var",
            "FuncExpr",
            "OpExpr",
            "SubPlan",
            "PlAssignStmt",
            "ReturnStmt",
            "RawStmt",
            "DefElem",
            "MergeSupportFunc",
            "a node of PostgreSQL 30",
        ] {
            assert!(!known_kind(kind), "{kind}");
        }
    }

    #[test]
    fn known_kinds_are_spelt_as_the_protobuf_types() {
        // A misspelt entry would refuse ordinary statements; these produce most of them.
        let sql = "WITH RECURSIVE w(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM w) SEARCH DEPTH FIRST BY a SET o \
                   CYCLE a SET c USING p SELECT DISTINCT ON (a) a, count(*) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d), \
                   CASE WHEN a THEN 1 END, COALESCE(a, 1), GREATEST(a, 2), ARRAY[1], ROW(1, 2), (r).f[1], x COLLATE \"C\", \
                   current_date, a IS NULL, b IS TRUE, f(x => 1), $1::int, GROUPING(a), xmlelement(name n), b'1', 1.5 \
                   FROM t TABLESAMPLE system(1), LATERAL f(1) AS g(q int), (SELECT 1) s JOIN u USING (i) \
                   WHERE EXISTS (SELECT 1) AND true GROUP BY ROLLUP (a) WINDOW y AS (ORDER BY z) FOR UPDATE";
        let parsed = crate::sql::parse::parse(sql).expect("parses");
        let survey =
            super::super::survey(&parsed.statements[0].root, &Default::default(), &Default::default());
        assert!(survey.unknown_kinds.is_empty(), "{:?}", survey.unknown_kinds);
    }
}
