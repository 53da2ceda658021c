//! Writes as work queues, bulk loads, upserts and object-relational mappers send them, over the little clinic of
//! `tests/writes.rs`. None may be refused. Values stand as constants where drivers bind parameters.

/// Taking work from a queue, where others may be at it too.
pub(crate) const QUEUES: &[&str] = &[
    "WITH q AS (SELECT encounter_id FROM encounter WHERE kind = 'in' ORDER BY score, encounter_id LIMIT 1 FOR UPDATE SKIP LOCKED) \
     UPDATE encounter t SET kind = 'taken' FROM q WHERE t.encounter_id = q.encounter_id RETURNING t.*",
    "WITH q AS (SELECT encounter_id FROM encounter WHERE kind = 'in' AND score + 1 > 0 ORDER BY encounter_id LIMIT 2 FOR UPDATE SKIP LOCKED) \
     UPDATE encounter SET kind = 'taken' FROM q WHERE encounter.encounter_id = q.encounter_id RETURNING encounter.encounter_id",
    "WITH q AS MATERIALIZED (SELECT e.encounter_id FROM encounter e JOIN patient p USING (patient_id) WHERE p.age > 40 AND 10 / p.age >= 0 \
     ORDER BY 1 LIMIT 2 FOR NO KEY UPDATE OF e SKIP LOCKED) DELETE FROM encounter t USING q WHERE t.encounter_id = q.encounter_id RETURNING *",
    "UPDATE encounter SET kind = 'taken' WHERE encounter_id IN (SELECT encounter_id FROM encounter WHERE kind = 'in' \
     ORDER BY encounter_id LIMIT 2 FOR UPDATE SKIP LOCKED) RETURNING encounter_id, patient_id",
    "UPDATE encounter SET kind = 'taken' WHERE encounter_id = (SELECT encounter_id FROM encounter WHERE kind = 'in' AND score - 1 < 9 \
     ORDER BY encounter_id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING *",
    "DELETE FROM encounter WHERE encounter_id = (SELECT encounter_id FROM encounter ORDER BY encounter_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *",
    "DELETE FROM encounter USING (SELECT encounter_id FROM encounter WHERE 20 / score > 1 ORDER BY encounter_id LIMIT 3 FOR UPDATE SKIP LOCKED) q \
     WHERE q.encounter_id = encounter.encounter_id RETURNING encounter.encounter_id, q.encounter_id AS again",
    "UPDATE lab_result r SET code = 'q' FROM (SELECT result_id FROM lab_result WHERE value + 1 > 0 ORDER BY 1 LIMIT 1 FOR UPDATE) q \
     WHERE q.result_id = r.result_id RETURNING r.result_id, r.code",
    "UPDATE encounter t SET kind = d.kind || 'd' FROM (SELECT encounter_id, kind FROM encounter WHERE patient_id = 1 FOR UPDATE) d \
     WHERE d.encounter_id = t.encounter_id",
];

/// Many rows by one statement.
pub(crate) const BULK: &[&str] = &[
    "UPDATE encounter t SET kind = w.v FROM unnest('{1,2,3,104}'::int[], '{a,b,c,d}'::text[]) AS w(id, v) WHERE t.encounter_id = w.id",
    "UPDATE encounter t SET kind = w.v, score = w.n FROM unnest('{1,2,3,104}'::int[], '{a,b,c,d}'::text[]) WITH ORDINALITY AS w(id, v, n) \
     WHERE t.encounter_id = w.id RETURNING t.encounter_id, w.v",
    "UPDATE encounter AS t SET kind = w.v FROM (VALUES (1, 'a'), (2, 'b'), (103, 'c')) AS w(id, v) WHERE t.encounter_id = w.id RETURNING t.*",
    "UPDATE encounter AS t SET score = w.v FROM (VALUES (1, NULL), (2, 5)) AS w(id, v) WHERE t.encounter_id = w.id",
    "WITH w(id, v) AS (VALUES (1::int, 'a'::text), (2, 'b')) UPDATE encounter t SET kind = w.v FROM w WHERE t.encounter_id = w.id",
    "UPDATE encounter AS t SET kind = w.v FROM (SELECT unnest('{1,2,3}'::int[]) AS id, unnest('{x,y,z}'::text[]) AS v) AS w WHERE t.encounter_id = w.id",
    "UPDATE encounter AS t SET kind = w.v FROM jsonb_to_recordset('[{\"id\": 1, \"v\": \"j\"}, {\"id\": 105, \"v\": \"k\"}]') AS w(id int, v text) \
     WHERE t.encounter_id = w.id RETURNING t.encounter_id, w.v",
    "UPDATE encounter AS t SET kind = w->>'v' FROM jsonb_array_elements('[{\"id\": 1, \"v\": \"j\"}, {\"id\": 105, \"v\": \"k\"}]') AS w \
     WHERE t.encounter_id = (w->>'id')::int",
    "UPDATE lab_result AS t SET code = w.v FROM unnest('{1,2,3,104}'::int[], '{a,b,c,d}'::text[]) AS w(id, v) WHERE t.result_id = w.id",
    "UPDATE encounter t SET kind = w.v FROM patient p JOIN unnest('{1,2,3}'::int8[], '{a,b,c}'::text[]) AS w(id, v) ON p.patient_id = w.id \
     WHERE t.patient_id = p.patient_id AND p.age > 40",
    "UPDATE \"encounter\" SET \"kind\" = (CASE WHEN (\"encounter\".\"encounter_id\" = 1) THEN 'a' WHEN (\"encounter\".\"encounter_id\" = 2) THEN 'b' ELSE NULL END)::text \
     WHERE \"encounter\".\"encounter_id\" IN (1, 2)",
    "UPDATE encounter SET (kind, score) = ROW('a', 3) WHERE (encounter_id, patient_id) IN ((1, 1), (2, 2), (3, 4))",
    "UPDATE encounter SET (kind, score) = (SELECT w.v, w.n FROM (VALUES (1, 'a', 3), (2, 'b', 4)) AS w(id, v, n) WHERE w.id = encounter_id) \
     WHERE encounter_id IN (1, 2)",
    "DELETE FROM encounter WHERE (encounter_id, patient_id) IN (SELECT * FROM unnest('{1,2,103}'::int[], '{1,2,4}'::int8[]))",
    "DELETE FROM encounter USING unnest('{1,2,103}'::int[]) AS x(id) WHERE encounter_id = x.id",
    "DELETE FROM encounter t USING (VALUES (1, 1), (2, 2)) AS w(id, p) WHERE t.encounter_id = w.id AND t.patient_id = w.p RETURNING t.*",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) SELECT * FROM unnest('{41,42}'::int[], '{1,2}'::int8[], '{a,b}'::text[], '{1,NULL}'::int[])",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) SELECT p0::int, p1::bigint, p2::varchar, p3::int \
     FROM (VALUES (41, 1, 'a', 1, 0), (42, 2, 'b', 2, 1)) AS imp_sen(p0, p1, p2, p3, sen_counter) ORDER BY sen_counter \
     RETURNING encounter.encounter_id, encounter.encounter_id AS encounter_id__1",
    "INSERT INTO encounter (encounter_id, patient_id, kind) SELECT x.* FROM jsonb_to_recordset('[{\"encounter_id\": 41, \"patient_id\": 4}]'::jsonb) \
     AS x(encounter_id int, patient_id int8, kind text) RETURNING *",
    "INSERT INTO encounter (encounter_id, patient_id, kind) OVERRIDING SYSTEM VALUE VALUES (41, 1, 'a')",
    "INSERT INTO encounter OVERRIDING SYSTEM VALUE VALUES (41, 1, 'a'), (42, 2, 'b')",
    "INSERT INTO encounter OVERRIDING USER VALUE SELECT encounter_id + 500, patient_id, kind, score FROM encounter RETURNING encounter_id",
    "INSERT INTO lab_result (TABLE lab_result) ON CONFLICT DO NOTHING",
    "UPDATE encounter open SET kind = 'x' WHERE open.score > 0 AND 10 / open.score > 1 RETURNING open.kind",
    "DELETE FROM encounter settings USING patient top WHERE top.patient_id = settings.patient_id AND top.age > 40",
    "WITH gone AS (DELETE FROM lab_result WHERE value > 1 RETURNING *) INSERT INTO lab_result SELECT result_id + 500, order_id, code, value FROM gone",
    "WITH u AS (UPDATE encounter SET kind = 'x' WHERE encounter_id = 1 RETURNING 1) \
     INSERT INTO encounter (encounter_id, patient_id) SELECT 41, 1 WHERE NOT EXISTS (SELECT 1 FROM u) RETURNING encounter_id",
    "UPDATE encounter t SET kind = p.name FROM patient p JOIN lab_order o ON o.order_id = p.patient_id + 0 WHERE t.patient_id = p.patient_id",
    "UPDATE encounter t SET kind = r.code FROM lab_order o JOIN lab_result r ON 10 / r.result_id >= 0 AND r.order_id = o.order_id LEFT JOIN patient p \
     ON p.patient_id = o.patient_id WHERE o.patient_id = t.patient_id RETURNING t.encounter_id",
    "DELETE FROM encounter t USING patient p JOIN lab_order o ON o.order_id = p.patient_id + 0 WHERE t.patient_id = p.patient_id AND t.score + 1 > 0",
    "UPDATE encounter SET tags[1] = 'a', tags[score + 2] = kind, doc['a']['b'] = '9' WHERE 10 / (encounter_id + 1) >= 0 RETURNING tags, doc",
    "INSERT INTO encounter (encounter_id, patient_id, tags[1], tags[2], doc['a']) VALUES (41, 1, 'x', 'y', '1'), (42, 2, 'x', NULL, '2')",
    "INSERT INTO encounter AS e (encounter_id, tags[2:3], patient_id) SELECT 43, '{a,b}', 1 ON CONFLICT (encounter_id) DO UPDATE SET tags[1] = excluded.tags[2]",
    "INSERT INTO encounter (tags[1], patient_id, encounter_id) VALUES ('x', 1, 1) ON CONFLICT DO NOTHING",
    "WITH u AS (UPDATE encounter SET kind = 'x' WHERE patient_id = 1 RETURNING upper(kind), encounter_id > 3) SELECT count(*) FROM u",
];

/// Rows that may be there already.
pub(crate) const UPSERTS: &[&str] = &[
    "INSERT INTO encounter AS t (encounter_id, patient_id, kind, score) VALUES (41, 1, 'now', 1), (42, 1, 'now', 2) \
     ON CONFLICT (patient_id) WHERE kind = 'now' DO NOTHING RETURNING encounter_id",
    "INSERT INTO encounter AS t (encounter_id, patient_id, kind, score) VALUES (41, 2, 'now', 1) \
     ON CONFLICT (patient_id) WHERE kind = 'now' DO UPDATE SET score = excluded.score + 1 WHERE t.score > 0 RETURNING *",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) VALUES (41, 2, 'NEXT', 77) \
     ON CONFLICT (patient_id, lower(kind)) WHERE score = 77 DO UPDATE SET kind = 'again' RETURNING encounter_id",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) VALUES (1, 2, 'x', 7) ON CONFLICT ON CONSTRAINT encounter_pkey DO NOTHING",
    "INSERT INTO encounter AS t (encounter_id, patient_id, kind, score) VALUES (2, 2, 'x', 7), (47, 1, 'y', 8) \
     ON CONFLICT ON CONSTRAINT encounter_pkey DO UPDATE SET score = excluded.score RETURNING t.encounter_id",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) VALUES (2, 2, 'x', 7), (47, 1, 'y', 8) \
     ON CONFLICT (encounter_id) DO UPDATE SET score = excluded.score RETURNING encounter_id, (xmax = 0) AS inserted",
    "INSERT INTO encounter AS t (encounter_id, patient_id, kind, score) VALUES (3, 4, 'x', 7), (48, 1, 'y', 8) \
     ON CONFLICT (encounter_id) DO UPDATE SET kind = excluded.kind RETURNING CASE WHEN t.xmax::text::int > 0 THEN 'updated' ELSE 'inserted' END AS what, *",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) SELECT a, b, 'u', 1 FROM unnest('{1,49}'::int[], '{1,2}'::int8[]) AS u(a, b) \
     ON CONFLICT (encounter_id) DO UPDATE SET kind = excluded.kind RETURNING encounter_id, xmax <> 0 AS updated",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) SELECT 51, 1, 'x', 7 ON CONFLICT DO NOTHING",
    "INSERT INTO encounter (encounter_id, patient_id, kind, score) SELECT 2, 2, 'x', NULL ON CONFLICT (encounter_id) DO NOTHING RETURNING kind",
    "INSERT INTO encounter (encounter_id, patient_id, kind) SELECT 2, 2, 'x' ON CONFLICT (encounter_id) DO UPDATE SET kind = excluded.kind RETURNING *",
    "INSERT INTO encounter AS open (encounter_id, patient_id, kind) OVERRIDING USER VALUE SELECT 52, 2, 'x' ON CONFLICT (encounter_id) DO NOTHING",
    "INSERT INTO encounter AS settings (encounter_id, patient_id, kind) VALUES (2, 2, 'x') \
     ON CONFLICT (encounter_id) DO UPDATE SET kind = settings.kind || excluded.kind WHERE settings.score > 0",
    "INSERT INTO encounter AS t OVERRIDING SYSTEM VALUE VALUES (2, 2, 'x', 7) ON CONFLICT (encounter_id) DO UPDATE SET score = t.score + 1",
    "INSERT INTO encounter OVERRIDING SYSTEM VALUE SELECT 53, 2, 'x', 7 ON CONFLICT DO NOTHING",
    "WITH up AS (INSERT INTO encounter (encounter_id, patient_id, kind) VALUES (1, 1, 'x'), (50, 2, 'y') \
     ON CONFLICT (encounter_id) DO UPDATE SET kind = excluded.kind RETURNING encounter_id, (xmax = 0) AS inserted) \
     SELECT count(*) FILTER (WHERE inserted) AS i, count(*) AS n FROM up",
];

/// A row and rows that refer to it, which tell by it whose they are.
pub(crate) const FAMILIES: &[&str] = &[
    "WITH p AS (INSERT INTO lab_order (order_id, patient_id) VALUES (361, 1) RETURNING order_id) \
     INSERT INTO lab_result (result_id, order_id, code, value) SELECT 361, order_id, 'c', 1 FROM p RETURNING result_id, order_id",
    "WITH p AS (INSERT INTO lab_order VALUES (361, 1), (362, 2) RETURNING *), c AS (INSERT INTO lab_result SELECT order_id + 1, order_id, 'c', 1 FROM p \
     RETURNING result_id) SELECT (SELECT count(*) FROM c) AS c, (SELECT max(patient_id) FROM p) AS p",
    "WITH p AS (INSERT INTO lab_order VALUES (361, 4)) INSERT INTO lab_result VALUES (361, 361, 'c', 2)",
    "WITH p AS (INSERT INTO lab_order VALUES (361, 4)), q AS (INSERT INTO lab_order VALUES (362, 2) RETURNING order_id AS o) \
     INSERT INTO lab_result SELECT 400 + x, x, 'c', 2 FROM (SELECT o AS x FROM q UNION ALL SELECT 361 UNION ALL SELECT min(order_id) FROM lab_order) y RETURNING *",
    "WITH e AS (INSERT INTO encounter (encounter_id, patient_id) VALUES (361, 1) RETURNING encounter_id), p AS (INSERT INTO lab_order SELECT encounter_id, 1 FROM e \
     RETURNING order_id) INSERT INTO lab_result (result_id, order_id) SELECT order_id, order_id FROM p",
];

/// MERGE of PostgreSQL 15.
pub(crate) const MERGES: &[&str] = &[
    "MERGE INTO encounter t USING (VALUES (1, 1, 'a'), (41, 2, 'b')) AS s(id, p, k) ON t.encounter_id = s.id \
     WHEN MATCHED THEN UPDATE SET kind = s.k WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id, kind) VALUES (s.id, s.p, s.k)",
    "MERGE INTO encounter AS t USING (SELECT * FROM unnest('{1,2,41}'::int[], '{1,2,4}'::int8[]) AS w(id, p)) s ON t.encounter_id = s.id AND t.patient_id = s.p \
     WHEN MATCHED AND t.score > 1 THEN DELETE WHEN MATCHED AND t.score IS NULL THEN DO NOTHING WHEN MATCHED THEN UPDATE SET score = t.score + 1, kind = 'm'",
    "MERGE INTO encounter t USING patient p ON t.patient_id = p.patient_id AND t.kind = 'in' AND 10 / p.age > 0 \
     WHEN MATCHED THEN UPDATE SET score = p.age WHEN NOT MATCHED AND p.age > 40 THEN INSERT VALUES (40 + p.ward, p.patient_id, 'new', NULL)",
    // Rows of others have these scores and would be matches.
    "MERGE INTO encounter t USING (VALUES (0, 45), (2147483647, 46)) AS s(score, id) ON t.score = s.score AND t.encounter_id > 99 \
     WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id, kind) VALUES (s.id, 1, 'none')",
    "MERGE INTO encounter t USING ward w ON 10 / t.score = w.ward AND t.kind::text <> 'x' \
     WHEN MATCHED AND 100 / t.score > 1 THEN UPDATE SET kind = w.wname WHEN NOT MATCHED THEN DO NOTHING",
    "WITH s AS (SELECT o.order_id, o.patient_id FROM lab_order o WHERE o.patient_id IS NOT NULL AND o.order_id + 1 > 0) \
     MERGE INTO lab_result r USING s ON r.order_id = s.order_id WHEN MATCHED THEN UPDATE SET code = 'again' \
     WHEN NOT MATCHED THEN INSERT (result_id, order_id, code) VALUES (s.order_id + 700, s.order_id, 'first')",
    "MERGE INTO lab_result r USING (SELECT order_id FROM lab_order OFFSET 0) s ON r.order_id = s.order_id WHEN MATCHED AND r.value = \
     (SELECT max(x.value) FROM lab_result x) THEN DELETE",
    "MERGE INTO encounter t USING (SELECT 1 AS one) s ON t.encounter_id = 1 WHEN MATCHED THEN UPDATE SET patient_id = 2, kind = 'moved'",
    "MERGE INTO encounter t USING (SELECT 2::int8 AS p) s ON t.encounter_id < 3 AND t.patient_id = 1 WHEN MATCHED AND t.score > 0 THEN UPDATE SET patient_id = s.p",
    "MERGE INTO encounter t USING (SELECT e.encounter_id, e.patient_id FROM encounter e JOIN patient p USING (patient_id) WHERE p.age > 40) s \
     ON t.encounter_id = s.encounter_id + 1 WHEN MATCHED AND t.patient_id = s.patient_id THEN DELETE WHEN NOT MATCHED AND s.patient_id = 2 \
     THEN INSERT (encounter_id, patient_id) VALUES (s.encounter_id + 1, s.patient_id)",
    "MERGE INTO encounter t USING jsonb_to_recordset('[{\"id\": 1, \"p\": 1}, {\"id\": 44, \"p\": 2}]') AS s(id int, p int8) ON t.encounter_id = s.id \
     WHEN MATCHED THEN UPDATE SET kind = 'json' WHEN NOT MATCHED THEN INSERT (patient_id, encounter_id) VALUES (s.p, s.id)",
];

/// Writes of a row of another patient, which are refused.
pub(crate) const OUTSIDE: &[&str] = &[
    "WITH p AS (INSERT INTO lab_order VALUES (361, 5) RETURNING order_id) INSERT INTO lab_result SELECT order_id, order_id, 'c', 1 FROM p",
    "WITH p AS (INSERT INTO lab_order VALUES (361, 1) RETURNING order_id) INSERT INTO lab_result SELECT order_id, 190, 'c', 1 FROM p",
    "WITH p AS (INSERT INTO lab_order VALUES (361, 1) RETURNING order_id) INSERT INTO lab_result SELECT 700, order_id + 1, 'c', 1 FROM p",
    "WITH p AS (INSERT INTO lab_order VALUES (361, 1) RETURNING order_id, 190 AS o) INSERT INTO lab_result SELECT 700, o, 'c', 1 FROM p",
    "WITH p AS (UPDATE lab_order SET patient_id = 2 WHERE order_id = 90 RETURNING 190 AS o) INSERT INTO lab_result SELECT 700, o, 'c', 1 FROM p",
    "MERGE INTO encounter t USING (VALUES (141, 5)) AS s(id, p) ON t.encounter_id = s.id WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) VALUES (s.id, s.p)",
    "MERGE INTO encounter t USING (VALUES (141)) AS s(id) ON false WHEN NOT MATCHED AND s.id > 0 THEN INSERT VALUES (s.id, 3, 'x', 1)",
    "MERGE INTO encounter t USING (VALUES (141, NULL)) AS s(id, p) ON t.encounter_id = s.id WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) VALUES (s.id, s.p::int8)",
    "MERGE INTO encounter t USING ward w ON t.encounter_id = 90 AND w.ward = 0 WHEN MATCHED THEN UPDATE SET patient_id = 5",
    "MERGE INTO lab_result r USING (VALUES (190)) AS s(o) ON r.order_id = s.o WHEN NOT MATCHED THEN INSERT (result_id, order_id) VALUES (800, s.o)",
    "MERGE INTO lab_result r USING (VALUES (190)) AS s(o) ON r.result_id = 90 WHEN MATCHED THEN UPDATE SET order_id = s.o",
];

/// MERGE that cannot be guarded.
pub(crate) const REFUSED: &[&str] = &[
    "MERGE INTO encounter t USING (VALUES (41)) AS s(id) ON t.encounter_id = s.id WHEN NOT MATCHED THEN INSERT (encounter_id) VALUES (s.id)",
    "MERGE INTO encounter t USING (VALUES (41)) AS s(id) ON t.encounter_id = s.id WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) VALUES (s.id, DEFAULT)",
    "MERGE INTO encounter t USING (VALUES (41)) AS s(id) ON t.encounter_id = s.id WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) \
     VALUES (s.id, CASE WHEN random() < 0.5 THEN 1 ELSE 5 END)",
    "MERGE INTO encounter t USING (VALUES (41)) AS s(id) ON t.encounter_id = s.id WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) \
     VALUES (s.id, (SELECT max(patient_id) FROM patient))",
    "MERGE INTO encounter t USING (VALUES (41)) AS s(id) ON t.encounter_id = s.id WHEN MATCHED THEN UPDATE SET (kind, patient_id) = ROW('x', 1)",
    "MERGE INTO ward w USING patient p ON w.ward = p.ward WHEN MATCHED THEN UPDATE SET wname = p.name",
    "MERGE INTO encounter t USING (VALUES (1), (2)) s(id) ON t.encounter_id = s.id WHEN MATCHED THEN UPDATE SET patient_id = 1 WHEN MATCHED THEN DELETE",
];

/// In each, something that FROM reads fails, if it is read at all; the conditions on the target are true of rows of
/// others only.
pub(crate) const FAILING: &[&str] = &[
    "UPDATE encounter t SET kind = 'x' FROM (SELECT 1 / (score - score) AS v FROM encounter WHERE score IS NOT NULL) w WHERE t.score = 2147483647",
    "UPDATE encounter t SET kind = 'x' FROM (SELECT unnest('{1,2}'::text[])::date AS v) w WHERE t.encounter_id > 99",
    "UPDATE encounter t SET kind = 'x' FROM jsonb_to_recordset('{}') AS w(id int) WHERE t.encounter_id > 99 AND t.score = w.id",
    "WITH q AS (SELECT 1 / (ward - ward) AS v FROM ward) UPDATE encounter t SET kind = 'x' FROM q WHERE t.encounter_id > 99",
    "WITH q AS (SELECT kind::int AS v FROM encounter WHERE patient_id = 1 FOR UPDATE) DELETE FROM encounter t USING q WHERE t.score = 0 AND t.encounter_id > q.v",
    "DELETE FROM encounter t USING patient p JOIN (SELECT 'x'::text::int AS v) w ON p.age = w.v WHERE t.encounter_id > 99",
    "WITH d AS (UPDATE lab_order SET order_id = order_id RETURNING 1 / (order_id - order_id) AS v) UPDATE encounter t SET kind = 'x' FROM d WHERE t.encounter_id > 99",
    "MERGE INTO encounter t USING (SELECT 1 / (score - score) AS v FROM encounter WHERE score IS NOT NULL) s ON t.score = 2147483647 AND t.encounter_id > s.v \
     WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) VALUES (45, 1)",
    "MERGE INTO encounter t USING jsonb_to_recordset('{}') AS s(id int) ON t.encounter_id > 99 WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) VALUES (45, 1)",
    "MERGE INTO encounter t USING (SELECT 1 / (score - score) AS v FROM encounter WHERE score IS NOT NULL) s ON t.score = 2147483647 WHEN MATCHED THEN DELETE",
    "WITH q AS (SELECT 1 / (ward - ward) AS v FROM ward) MERGE INTO encounter t USING q ON t.encounter_id > 99 WHEN MATCHED THEN UPDATE SET kind = 'x'",
    "MERGE INTO encounter t USING jsonb_to_recordset('{}') AS s(id int) ON t.encounter_id > 99 WHEN MATCHED THEN DELETE",
];
