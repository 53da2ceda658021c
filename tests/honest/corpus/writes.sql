-- Changes that nurses and physicians make through applications; each is rolled back. Of the demonstration's grants, nurses
-- may only add notes: what they may not do directly does not count.

INSERT INTO note (patient_id, author, kind, written_at, body) VALUES (880003, 'nurse_amy', 'progress', now(), 'slept well')
INSERT INTO note (patient_id, author, kind, written_at, body) VALUES (880003, 'a', 'progress', now(), 'x'), (880015, 'a', 'progress', now(), 'y')
INSERT INTO note (patient_id, author, kind, written_at, body) VALUES (880003, 'a', 'progress', now(), 'x') RETURNING note_id
INSERT INTO note (patient_id, author, kind, written_at, body) VALUES (880003, 'a', 'progress', now(), 'x') RETURNING *
INSERT INTO "clinic"."note" ("patient_id", "encounter_id", "author", "kind", "written_at", "body") VALUES (880003, NULL, 'a', 'progress', '2024-05-01T10:00:00+00:00'::timestamptz, 'x') RETURNING "clinic"."note"."note_id"
INSERT INTO note (patient_id, author, kind, written_at, body) SELECT 880003, 'a', 'progress', now(), 'copied'
INSERT INTO note AS n (patient_id, author, kind, written_at, body) VALUES (880003, 'a', 'progress', now(), 'x') ON CONFLICT DO NOTHING
UPDATE problem SET status = 'resolved' WHERE problem_id = 1 AND patient_id = 880003
UPDATE problem SET status = 'resolved' WHERE status = 'active' AND onset < '2000-01-01'
UPDATE problem SET title = title || ' (checked)', onset = coalesce(onset, current_date) WHERE patient_id = 880003 RETURNING problem_id, title
UPDATE medication_order SET status = 'stopped', stopped_at = now() WHERE medication_order_id = 1
UPDATE medication_order m SET dose = m.dose * 2 FROM drug d WHERE d.drug_id = m.drug_id AND d.high_risk = false AND m.patient_id = 880003
UPDATE allergy SET severity = 'severe' WHERE substance = 'penicillin' AND patient_id = 880003
UPDATE lab_order SET panel = upper(panel) WHERE ordered_at < now() AND patient_id = 880003
UPDATE note SET body = body || E'\nseen' WHERE note_id = 1
UPDATE "clinic"."note" SET "body" = 'x' WHERE "clinic"."note"."note_id" = 1 RETURNING "clinic"."note"."note_id"
SELECT * FROM note ORDER BY written_at DESC LIMIT 20
SELECT n.*, p.name FROM note n JOIN patient p USING (patient_id) WHERE n.body ILIKE '%pain%'
SELECT patient_id, count(*), max(written_at) FROM note GROUP BY patient_id
SELECT ts_headline('english', body, plainto_tsquery('pain')) FROM note WHERE to_tsvector('english', body) @@ plainto_tsquery('english', 'pain')
SELECT kind, avg(length(body)) FROM note GROUP BY kind
SELECT DISTINCT ON (patient_id) patient_id, body FROM note ORDER BY patient_id, written_at DESC
WITH q AS (SELECT problem_id FROM problem WHERE status = 'active' ORDER BY onset LIMIT 1 FOR UPDATE SKIP LOCKED) UPDATE problem SET status = 'resolved' FROM q WHERE problem.problem_id = q.problem_id RETURNING problem.*
WITH q AS (SELECT medication_order_id FROM medication_order WHERE status = 'active' AND started_at + interval '1 day' < now() ORDER BY started_at LIMIT 5 FOR NO KEY UPDATE SKIP LOCKED) UPDATE medication_order m SET status = 'stopped', stopped_at = now() FROM q WHERE m.medication_order_id = q.medication_order_id RETURNING m.medication_order_id
UPDATE problem SET status = 'resolved' WHERE problem_id IN (SELECT problem_id FROM problem WHERE status = 'active' ORDER BY onset LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING problem_id, title
UPDATE problem SET status = 'resolved' WHERE problem_id = (SELECT problem_id FROM problem WHERE status = 'active' ORDER BY onset FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING *
UPDATE problem t SET title = w.title FROM unnest($1::int8[], $2::text[]) AS w(id, title) WHERE t.problem_id = w.id
UPDATE problem AS t SET title = w.title FROM (VALUES (1, 'a'), (2, 'b')) AS w(id, title) WHERE t.problem_id = w.id RETURNING t.problem_id
UPDATE problem AS t SET title = w.title FROM (VALUES ($1::int8, $2::text), ($3, $4)) AS w(id, title) WHERE t.problem_id = w.id
UPDATE problem AS t SET title = w.title FROM jsonb_to_recordset($1::jsonb) AS w(id int8, title text) WHERE t.problem_id = w.id
UPDATE problem AS t SET title = w.title FROM (SELECT unnest($1::int8[]) AS id, unnest($2::text[]) AS title) AS w WHERE t.problem_id = w.id
UPDATE "clinic"."problem" SET "title" = (CASE WHEN ("clinic"."problem"."problem_id" = 1) THEN 'a' WHEN ("clinic"."problem"."problem_id" = 2) THEN 'b' ELSE NULL END)::text WHERE "clinic"."problem"."problem_id" IN (1, 2)
INSERT INTO note (patient_id, author, kind, written_at, body) SELECT p, 'a', 'progress', now(), b FROM unnest('{880003,880015}'::int8[], '{x,y}'::text[]) AS w(p, b) RETURNING note_id
INSERT INTO note (patient_id, author, kind, written_at, body) SELECT p0::BIGINT, p1::VARCHAR, p2::VARCHAR, p3::TIMESTAMP WITH TIME ZONE, p4::VARCHAR FROM (VALUES (880003, 'a', 'progress', '2024-05-01 10:00:00+00', 'x', 0), (880015, 'a', 'progress', '2024-05-01 10:00:00+00', 'y', 1)) AS imp_sen(p0, p1, p2, p3, p4, sen_counter) ORDER BY sen_counter RETURNING note.note_id, note.note_id AS note_id__1
INSERT INTO note (note_id, patient_id, author, kind, written_at, body) OVERRIDING SYSTEM VALUE VALUES (900001, 880003, 'a', 'progress', now(), 'x')
INSERT INTO problem (problem_id, patient_id, icd10, title, status) VALUES (900001, 880003, 'I10', 'hypertension', 'active') ON CONFLICT (problem_id) DO UPDATE SET title = excluded.title RETURNING problem_id, (xmax = 0) AS inserted
INSERT INTO problem (problem_id, patient_id, icd10, title, status) VALUES (900001, 880003, 'I10', 'hypertension', 'active') ON CONFLICT ON CONSTRAINT problem_pkey DO UPDATE SET title = excluded.title RETURNING xmax::text::int > 0 AS updated
INSERT INTO problem (problem_id, patient_id, icd10, title, status) VALUES (900001, 880003, 'I10', 'x', 'active') ON CONFLICT (problem_id int8_ops) WHERE status = 'active' DO NOTHING
WITH u AS (UPDATE problem SET title = 'x' WHERE problem_id = 900001 RETURNING 1) INSERT INTO problem (problem_id, patient_id, icd10, title, status) SELECT 900001, 880003, 'I10', 'x', 'active' WHERE NOT EXISTS (SELECT 1 FROM u) RETURNING problem_id
MERGE INTO problem t USING (VALUES (900001, 880003, 'I10', 'hypertension')) AS s(id, p, code, title) ON t.problem_id = s.id WHEN MATCHED THEN UPDATE SET title = s.title WHEN NOT MATCHED THEN INSERT (problem_id, patient_id, icd10, title, status) VALUES (s.id, s.p, s.code, s.title, 'active')
MERGE INTO "problem" AS "T" USING (SELECT CAST(900001 AS BIGINT) AS "id", CAST(880003 AS BIGINT) AS "p", CAST('x' AS VARCHAR) AS "t") AS "S" ON ("T"."problem_id" = "S"."id") WHEN NOT MATCHED THEN INSERT ("problem_id", "patient_id", "icd10", "title", "status") VALUES ("S"."id", "S"."p", 'I10', "S"."t", 'active') WHEN MATCHED THEN UPDATE SET "title" = "S"."t"
MERGE INTO medication_order m USING drug d ON m.drug_id = d.drug_id AND d.high_risk WHEN MATCHED AND m.status = 'active' THEN UPDATE SET status = 'stopped', stopped_at = now() WHEN MATCHED THEN DO NOTHING
