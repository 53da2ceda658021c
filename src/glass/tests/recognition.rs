//! The SQL interface: what is answered, what is refused, what is none of ours.

use proptest::prelude::*;

use super::*;

fn stage_one(sql: &str) -> Option<Result<Shape, Refusal>> {
    let parsed = pg_query::parse(sql, 0).unwrap_or_else(|e| panic!("{sql}: {e}"));
    assert_eq!(parsed.protobuf.stmts.len(), 1, "{sql}");
    let found = recognise(&parsed.protobuf.stmts[0]);
    assert!(found.is_none() || may_mention(sql), "the cheap test misses {sql}");
    found
}

fn call(sql: &str) -> Result<Call, Refusal> {
    stage_one(sql).unwrap_or_else(|| panic!("not recognised: {sql}"))?.bind(&NoParams)
}

fn opened(sql: &str) -> OpenCall {
    match call(sql) {
        Ok(Call::Open(open)) => open,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn the_forms_of_the_documentation_are_read() {
    let open = opened("SELECT * FROM glass.open('884213', 'BTG', 'resus 2')");
    assert_eq!(
        open,
        OpenCall {
            patients: vec!["884213".into()],
            reason: "BTG".into(),
            note: "resus 2".into(),
            ttl: None,
            bind: Bind::Connection,
            categories: Vec::new(),
            labels: Vec::new(),
        }
    );
    for same in [
        "select glass.open('884213','BTG','resus 2');",
        "SELECT glass.open(884213, 'BTG', 'resus 2') AS x",
        "/* tool */ SELECT * FROM glass.open(patient => '884213', note => 'resus 2', reason => 'BTG') AS g -- end",
        "SELECT * FROM GLASS.Open('{884213}', 'BTG', 'resus 2', ttl => NULL)",
        "SELECT * FROM glass.open(ARRAY[884213, '884213'], 'BTG'::text, CAST('resus 2' AS varchar))",
        "SELECT * FROM glass.open(patients := '{884213, \"884213\"}'::bigint[], reason => 'BTG', note => 'resus 2')",
        "SELECT * FROM glass.open('884213'::int8, 'BTG', E'resus\\x202', access => 'read', scope => 'patient')",
        "SELECT * FROM U&\"\\0067lass\".open('884213', 'BTG', 'resus 2', bind => 'connection')",
    ] {
        assert_eq!(opened(same), open, "{same}");
    }
    let open = opened(
        "SELECT * FROM glass.open(patients => ARRAY['884213','884214'], reason => 'BTG', note => 'x', \
         ttl => interval '30 min', scope => 'patients', bind => 'principal')",
    );
    assert_eq!(open.patients, ["884213", "884214"]);
    assert_eq!((open.ttl, open.bind), (Some(minutes(30)), Bind::Principal));
    assert_eq!(
        opened("SELECT * FROM glass.open(99999999999999999999, 'BTG', '')").patients,
        ["99999999999999999999"]
    );
    assert_eq!(call("SELECT glass.close()").unwrap(), Call::Close { session: None });
    let id = SessionId::from_random(99);
    assert_eq!(
        call(&format!("SELECT glass.close('{id}')")).unwrap(),
        Call::Close { session: Some(id.clone()) }
    );
    assert_eq!(
        call(&format!("SELECT glass.extend('{id}', '30 min', 'still in theatre')")).unwrap(),
        Call::Extend { session: id.clone(), ttl: Some(minutes(30)), note: "still in theatre".into() }
    );
    assert_eq!(
        call(&format!("SELECT glass.revoke('{id}', note => 'no')")).unwrap(),
        Call::Revoke { session: id, note: "no".into() }
    );
    assert_eq!(call("SELECT * FROM glass.status() s").unwrap(), Call::Status);
    assert_eq!(call("SELECT * FROM glass.help()").unwrap(), Call::Help);
    assert_eq!(call("SELECT * FROM glass.why('884213')").unwrap(), Call::Why { patient: "884213".into() });
}

#[test]
fn every_other_mention_is_refused() {
    for hostile in [
        "SELECT glass.open('1','BTG','note'), ssn FROM patient",
        "SELECT glass.open('1','BTG','note'), ssn",
        "SELECT glass.open('1','BTG','note') FROM patient",
        "SELECT glass.open(ssn,'BTG','note') FROM patient",
        "SELECT * FROM glass.open('1','BTG','note'), patient",
        "SELECT * FROM patient, LATERAL glass.open(ssn,'BTG','note')",
        "SELECT *, ssn FROM glass.status()",
        "SELECT ssn FROM glass.status()",
        "SELECT s.* FROM glass.status() s",
        "SELECT count(*) FROM glass.status()",
        "SELECT DISTINCT * FROM glass.status()",
        "SELECT * FROM glass.status() ORDER BY 1",
        "SELECT * FROM glass.status() LIMIT 1",
        "SELECT * FROM glass.status() OFFSET 1",
        "SELECT * FROM glass.status() ORDER BY 1 FETCH FIRST 1 ROW WITH TIES",
        "SELECT * FROM glass.status() WHERE true",
        "SELECT * FROM glass.status() GROUP BY 1 HAVING true",
        "SELECT * FROM glass.status() FOR UPDATE",
        "SELECT * FROM glass.status() WITH ORDINALITY",
        "SELECT * FROM glass.status() AS s(a)",
        "SELECT * FROM glass.status() AS s(a text, b text)",
        "SELECT * FROM ROWS FROM (glass.status())",
        "SELECT * FROM ROWS FROM (glass.status(), generate_series(1,2))",
        "SELECT * FROM (SELECT * FROM glass.status()) s",
        "SELECT * INTO t FROM glass.status()",
        "SELECT (SELECT glass.close())",
        "SELECT (glass.close())::text",
        "SELECT glass.close() || ''",
        "SELECT (glass.status()).*",
        "SELECT glass.close() UNION SELECT ssn FROM patient",
        "SELECT ssn FROM patient UNION ALL SELECT glass.close()",
        "WITH x AS (SELECT glass.close()) SELECT * FROM x",
        "WITH x AS (SELECT ssn FROM patient) SELECT glass.close()",
        "SELECT 1 FROM patient WHERE glass.why(ssn) IS NULL",
        "SELECT 1 FROM patient ORDER BY glass.close()",
        "SELECT 1 LIMIT length(glass.close())",
        "SELECT sum(1) OVER (ORDER BY glass.close()) FROM patient",
        "SELECT CASE WHEN true THEN glass.close() END",
        "SELECT ARRAY[ROW(glass.close())]",
        "SELECT coalesce(NULL, glass.close())",
        "SELECT xmlelement(name a, glass.close())",
        "SELECT json_object('a': glass.close())",
        "SELECT * FROM json_table(glass.status(), '$' COLUMNS (a text PATH '$'))",
        "SELECT * FROM xmltable('/a' PASSING glass.status() COLUMNS a text)",
        "VALUES (glass.close()), (glass.close())",
        "INSERT INTO t SELECT glass.close()",
        "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = glass.close()",
        "UPDATE t SET a = glass.close()",
        "DELETE FROM t USING glass.status() RETURNING 1",
        "MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET a = glass.close()",
        "COPY (SELECT * FROM glass.status()) TO STDOUT",
        "CREATE TABLE t AS SELECT * FROM glass.status()",
        "CREATE VIEW v AS SELECT * FROM glass.status()",
        "CREATE INDEX i ON t (glass.why(a))",
        "CREATE TABLE t (a text DEFAULT glass.close())",
        "ALTER TABLE t ADD CHECK (glass.close() IS NULL)",
        "CREATE FUNCTION f() RETURNS text RETURN glass.close()",
        "CREATE POLICY p ON t USING (glass.close() IS NULL)",
        "EXPLAIN SELECT * FROM glass.status()",
        "PREPARE p AS SELECT glass.open($1,$2,$3)",
        "EXECUTE p(glass.close())",
        "DECLARE c CURSOR FOR SELECT * FROM glass.status()",
        "CALL glass.open('1','BTG','note')",
        "SELECT clinic.glass.open('1','BTG','note')",
        "SELECT glass.clinic.open('1','BTG','note')",
        "SELECT glass.open('1','BTG',(SELECT ssn FROM patient LIMIT 1))",
        "SELECT glass.open('1','BTG',upper('note'))",
        "SELECT glass.open('1','BTG','a' || 'b')",
        "SELECT glass.open('1','BTG',current_user)",
        "SELECT glass.open('1','BTG',true)",
        "SELECT glass.open('1','BTG',B'1')",
        "SELECT glass.open(ARRAY[['1'],['2']],'BTG','note')",
        "SELECT glass.open(ARRAY['1',NULL],'BTG','note')",
        "SELECT glass.open(ARRAY['1']::text,'BTG','note')",
        "SELECT glass.open('{1','BTG','note')",
        "SELECT glass.open('1'::text[],'BTG','note')",
        "SELECT glass.open('1'::regclass,'BTG','note')",
        "SELECT glass.open('1'::clinic.text,'BTG','note')",
        "SELECT glass.open('12345'::varchar(2),'BTG','note')",
        "SELECT glass.open('','BTG','note')",
        "SELECT glass.open(NULL,'BTG','note')",
        "SELECT glass.open('{}','BTG','note')",
        "SELECT glass.open(E'1\\n2','BTG','note')",
        "SELECT glass.open('1','BTG')",
        "SELECT glass.open()",
        "SELECT glass.open('1','BTG','note','30 min')",
        "SELECT glass.open('1','BTG','note',note => 'again')",
        "SELECT glass.open('1','BTG','note',patients => '{2}')",
        "SELECT glass.open('1',reason => 'BTG','note')",
        "SELECT glass.open('1','BTG','note',colour => 'red')",
        "SELECT glass.open('1','BTG','note',ttl => 30)",
        "SELECT glass.open('1','BTG','note',ttl => interval '30' minute)",
        "SELECT glass.open('1','BTG','note',ttl => ARRAY['1 h'])",
        "SELECT glass.open('1','BTG','note',bind => 'everyone')",
        "SELECT glass.open('1','BTG','note',access => 'write')",
        "SELECT glass.open('1','BTG','note',scope => 'all')",
        "SELECT glass.open('{1,2}','BTG','note',scope => 'patient')",
        "SELECT glass.open(DISTINCT '1','BTG','note')",
        "SELECT glass.open('1','BTG',VARIADIC '{a}')",
        "SELECT glass.open('1','BTG','note') OVER ()",
        "SELECT glass.open('1','BTG','note') FILTER (WHERE true)",
        "SELECT glass.open('1','BTG','note' ORDER BY 1)",
        "SELECT glass.close(*)",
        "SELECT glass.close('x')",
        "SELECT glass.close('G-00000000','G-00000001')",
        "SELECT glass.status(1)",
        "SELECT glass.assigned()",
        "SELECT \"glass\".\"Open\"('1','BTG','note')",
    ] {
        match call(hostile) {
            Err(refusal) => {
                assert!(refusal.to_string().starts_with("GLS-203 "), "{hostile}: {refusal}");
                assert_eq!(refusal.sqlstate, "42501", "{hostile}");
            }
            Ok(call) => panic!("{hostile}: {call:?}"),
        }
    }
}

#[test]
fn what_this_version_has_not_is_named_so() {
    for later in [
        "SELECT * FROM glass.open('1','BTG','note', otp => '492817')",
        "SELECT * FROM glass.open('1','BTG','note', incident => 'TRAUMA-0312')",
        "SELECT * FROM glass.open('1','BTG','note', scope => 'critical')",
        "SELECT * FROM glass.open('1','BTG','note', scope => 'ward')",
        "SELECT * FROM glass.open('1','BTG','note', scope => 'site')",
        "SELECT * FROM glass.open('1','BTG','note', access => 'append')",
        "SELECT * FROM glass.open('1','BTG','note', bind => 'app')",
        "SELECT glass.extend('G-00000000', '30 min', 'note', otp => '118204')",
        "SELECT glass.justify('G-00000000', 'note')",
        "SELECT glass.approve('G-00000000', 'note')",
        "SELECT glass.deny('G-00000000', 'note')",
        "SELECT glass.review('G-00000000', 'justified', emergency => true)",
    ] {
        let refusal = call(later).expect_err(later);
        assert!(refusal.to_string().contains("is not available in this version"), "{later}: {refusal}");
        assert!(!refusal.to_string().contains("492817"));
    }
}

#[test]
fn what_is_none_of_ours_goes_on() {
    for other in [
        "SELECT 1",
        "SELECT * FROM glass.assigned",
        "SELECT glass.patient_id FROM assigned glass",
        "SELECT open('1','BTG','note')",
        "SELECT * FROM clinic.glass",
        "SELECT 'SELECT glass.open(1)', $$ \"funcname\":[{\"node\":{\"String\":{\"sval\":\"glass\"}}}] $$",
        "SELECT \"GLASS\".open('1')",
        "SELECT clinic.open('1')",
        "SELECT \"funcname\":[1] FROM (SELECT 1 AS \"\"\"sval\"\":\"\"glass\"\"\") x"
            .split(":[")
            .next()
            .unwrap(),
        "SELECT glass()",
        "SELECT lower('glass'::glass.name)",
        "SET search_path = glass",
    ] {
        assert_eq!(stage_one(other), None, "{other}");
    }
    assert!(!may_mention("SELECT * FROM patient"));
    assert!(may_mention("select * from gLaSs.open()") && may_mention("SELECT * FROM u&\"\\0067lass\".x()"));
}

#[test]
fn deep_statements_do_not_exhaust_the_stack() {
    for deep in [
        format!("SELECT 1{} + glass.close()", "+1".repeat(20_000)),
        format!("SELECT {}glass.close(){}", "(1+".repeat(2000), ")".repeat(2000)),
        format!("SELECT glass.close({}NULL{})", "ARRAY[".repeat(2000), "]".repeat(2000)),
        format!("SELECT glass.close(NULL{})", "::text".repeat(2000)),
        format!("SELECT glass.close(){}", " UNION SELECT 1".repeat(2000)),
    ] {
        // The parser has a limit of its own; what it lets through must be refused here.
        let found = crate::sql::parse::messages(&deep, |p| recognise(&p.protobuf.stmts[0]).is_some());
        assert!(found.unwrap_or(true), "{}", &deep[..40]);
    }
}

struct Values(Vec<(u32, bool, Option<Vec<u8>>)>);

impl ParamValues for Values {
    fn param(&self, number: u16) -> Option<ParamValue<'_>> {
        let (type_oid, binary, bytes) = self.0.get(usize::from(number).checked_sub(1)?)?;
        Some(ParamValue { type_oid: *type_oid, binary: *binary, bytes: bytes.as_deref() })
    }
}

#[test]
fn describe_comes_before_the_values() {
    let shape = stage_one("SELECT glass.open($1,$2,$3)").unwrap().unwrap();
    assert_eq!(shape.columns(), [Column { name: "open".into(), type_oid: 25 }]);
    assert_eq!(shape.param_types(&[]).unwrap(), [25, 25, 25]);
    assert_eq!(shape.param_types(&[20, 0]).unwrap(), [20, 25, 25]);
    assert!(shape.param_types(&[16]).is_err(), "bool");
    assert_eq!(shape.param_types(&[0, 0, 0, 16]).unwrap(), [25, 25, 25, 16], "not used");
    let text = |s: &str| (25, false, Some(s.as_bytes().to_vec()));
    let values =
        Values(vec![(20, true, Some(884_213i64.to_be_bytes().to_vec())), text("BTG"), text("resus 2")]);
    let Call::Open(open) = shape.bind(&values).unwrap() else { panic!() };
    assert_eq!(open.patients, ["884213"]);
    assert_eq!(shape.bind(&NoParams).unwrap_err().sqlstate, "42P02");
    let null = Values(vec![(25, false, None), text("BTG"), text("resus 2")]);
    assert!(shape.bind(&null).is_err());

    let shape = stage_one(
        "SELECT * FROM glass.open(patients => $2, reason => $1, note => $3::varchar, ttl => $5::interval)",
    );
    let shape = shape.unwrap().unwrap();
    assert_eq!(shape.param_types(&[]).unwrap(), [25, 1009, 1043, 25, 1186]);
    assert_eq!(shape.columns().len(), 5);
    let hour = [3_600_000_000i64.to_be_bytes().to_vec(), vec![0; 8]].concat();
    let values = Values(vec![
        text("BTG"),
        (1009, false, Some(b"{1,\"2\"}".to_vec())),
        text("resus 2"),
        text(""),
        (1186, true, Some(hour)),
    ]);
    let Call::Open(open) = shape.bind(&values).unwrap() else { panic!() };
    assert_eq!((open.patients, open.ttl), (vec!["1".into(), "2".into()], Some(minutes(60))));

    let shape =
        stage_one("SELECT glass.open(ARRAY[$1, '5', $2::int], 'BTG', 'resus 2') AS answer").unwrap().unwrap();
    assert_eq!(shape.param_types(&[]).unwrap(), [25, 23]);
    assert_eq!(shape.columns()[0].name, "answer");
    let Call::Open(open) = shape.bind(&Values(vec![text("4"), (23, false, Some(b"6".to_vec()))])).unwrap()
    else {
        panic!()
    };
    assert_eq!(open.patients, ["4", "5", "6"]);
    assert!(
        matches!(stage_one("SELECT glass.close($65535)").unwrap().unwrap().param_types(&[]), Ok(t) if t.len() == 65535)
    );
    assert!(stage_one("SELECT glass.close($65536)").unwrap().is_err());
    assert!(stage_one("SELECT glass.close($0)").unwrap().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_argument_panics(
        function in prop::sample::select(vec!["open", "close", "extend", "revoke", "status", "help", "why", "x"]),
        arguments in prop::collection::vec(
            prop_oneof![
                "'[{}\",a1 :é-]{0,12}'(::(text|int8|text\\[\\]|interval))?",
                "(patient|patients|ttl|bind|scope|access|reason|note|session) => '[{}a1 :]{0,6}'",
                "ARRAY\\[('[a1]{0,2}',){0,2}\\$[1-4]\\]",
                "\\$[0-9]{1,5}(::int4)?",
                "-?[0-9]{1,20}|NULL|1e400|0x1F",
            ],
            0..5,
        ),
        values in prop::collection::vec(
            (prop::sample::select(vec![25u32, 20, 1009, 1186, 0]), any::<bool>(),
             prop::option::of(prop::collection::vec(any::<u8>(), 0..24))),
            0..4,
        ),
    ) {
        let sql = format!("SELECT * FROM glass.{function}({})", arguments.join(", "));
        if let Ok(parsed) = pg_query::parse(&sql, 0) {
            let found = recognise(&parsed.protobuf.stmts[0]);
            prop_assert!(found.is_some());
            if let Some(Ok(shape)) = found {
                let _ = shape.param_types(&[]);
                if let Ok(call) = shape.bind(&Values(values)) {
                    let officer = role("officer", true);
                    let (resolved, profile) = (resolved(&call), profile());
                    let facts = Facts { resolved: &resolved, assigned: None, random: 1 };
                    let who = who("ann", &officer, Some(&profile), 1);
                    if let Ok(decision) = Desk::default().decide(&call, &who, &facts, t(0)) {
                        let columns = shape.columns().len();
                        let reply = shape.present(decision.reply);
                        prop_assert!(reply.rows.iter().all(|r| r.len() == columns));
                    }
                }
            }
        }
    }
}
