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
