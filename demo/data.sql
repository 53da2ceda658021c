-- Seed data of the demonstration hospital: 2,000 invented patients, the same on every load.
-- pick() derives each choice from an MD5 of the row, never from random(); times are relative to
-- 2025-06-15 08:00 UTC, the "now" of the hospital. No value belongs to a living person: social
-- security numbers start with 9xx (never issued), telephone numbers with 555-01xx.

SET TIME ZONE 'UTC';

-- A number from 0 to n - 1 that depends on the seed only.
CREATE FUNCTION pg_temp.pick(seed text, n int) RETURNS int LANGUAGE sql IMMUTABLE
AS $$ SELECT ('x' || substr(md5(seed), 1, 7))::bit(28)::int % n $$;

-- One entry of a list.
CREATE FUNCTION pg_temp.one(seed text, list text[]) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT list[1 + ('x' || substr(md5(seed), 1, 7))::bit(28)::int % cardinality(list)] $$;

INSERT INTO clinic.ward (ward_id, code, name, floor, beds)
SELECT i, 'W' || lpad(i::text, 2, '0'), name, (1 + i / 3)::int2, 28
FROM unnest(ARRAY['Emergency', 'Cardiology', 'Internal Medicine', 'Surgery', 'Neurology', 'Orthopaedics',
    'Oncology', 'Nephrology', 'Pulmonology', 'Obstetrics', 'Paediatrics', 'Intensive Care'])
    WITH ORDINALITY AS w (name, i);

INSERT INTO clinic.drug (drug_id, atc_code, name, form, high_risk)
SELECT i, split_part(d, '|', 1), split_part(d, '|', 2), split_part(d, '|', 3), split_part(d, '|', 4) = 'y'
FROM unnest(ARRAY[
    'B01AA03|warfarin|tablet|y', 'B01AF02|apixaban|tablet|y', 'B01AB01|heparin|injection|y', 'A10AB01|insulin|injection|y',
    'C07AB02|metoprolol|tablet|n', 'C09AA05|ramipril|tablet|n', 'C10AA05|atorvastatin|tablet|n', 'C03CA01|furosemide|tablet|n',
    'A10BA02|metformin|tablet|n', 'N02BE01|paracetamol|tablet|n', 'N02AA01|morphine|injection|y', 'J01CA04|amoxicillin|capsule|n',
    'J01DD04|ceftriaxone|injection|n', 'R03AC02|salbutamol|inhaler|n', 'H03AA01|levothyroxine|tablet|n', 'A02BC01|omeprazole|capsule|n',
    'N03AX14|levetiracetam|tablet|n', 'N06AB06|sertraline|tablet|n', 'B01AC06|aspirin|tablet|n', 'L01BA01|methotrexate|tablet|y'])
    WITH ORDINALITY AS x (d, i);

INSERT INTO clinic.patient (patient_id, mrn, ssn, name, sex, birth_date, phone, address, zip, email, language)
SELECT 880000 + n,
    'MRN' || lpad(n::text, 7, '0'),
    CASE WHEN n % 97 <> 0 THEN
        format('9%s-%s-%s', lpad(pg_temp.pick('ssa' || n, 100)::text, 2, '0'),
               lpad((10 + n / 1000)::text, 2, '0'), lpad((n * 7 % 10000)::text, 4, '0')) END,
    first || ' ' || last,
    CASE WHEN n % 211 = 0 THEN 'X' WHEN n % 2 = 0 THEN 'F' ELSE 'M' END,
    date '1930-01-01' + pg_temp.pick('born' || n, 34500),
    CASE WHEN n % 53 <> 0 THEN format('+1-%s-555-01%s', 201 + pg_temp.pick('area' || n, 700),
                                      lpad((n % 100)::text, 2, '0')) END,
    (1 + pg_temp.pick('house' || n, 980)) || ' '
        || pg_temp.one('street' || n, ARRAY['Oak', 'Mill', 'Church', 'Station', 'Park', 'Lake', 'Hill', 'River']) || ' '
        || pg_temp.one('kind' || n, ARRAY['Street', 'Road', 'Lane', 'Avenue']),
    lpad((10000 + pg_temp.pick('zip' || n, 400))::text, 5, '0'),
    CASE WHEN n % 5 <> 0 THEN lower(first || '.' || replace(last, '''', '')) || n || '@example.org' END,
    CASE WHEN n % 17 = 0 THEN pg_temp.one('lang' || n, ARRAY['de', 'es', 'fr', 'tr', 'vi']) ELSE 'en' END
FROM generate_series(1, 2000) n
CROSS JOIN LATERAL (SELECT
    CASE WHEN n % 2 = 0
        THEN pg_temp.one('f' || n, ARRAY['Mary', 'Ana', 'Sofia', 'Ingrid', 'Yuki', 'Fatima', 'Claire', 'Zoë', 'Linda', 'Ruth', 'Priya', 'Elif'])
        ELSE pg_temp.one('m' || n, ARRAY['James', 'Luis', 'Omar', 'Jürgen', 'Kenji', 'Ali', 'Pierre', 'Noah', 'Peter', 'Sam', 'Ravi', 'Emre']) END AS first,
    pg_temp.one('l' || n, ARRAY['Smith', 'Garcia', 'Müller', 'O''Brien', 'Tanaka', 'Khan', 'Dubois', 'Novak', 'Larsen', 'Okafor',
        'Nguyen', 'Rossi', 'Kowalski', 'Silva', 'Jones', 'Haddad', 'Petrov', 'Yilmaz', 'Brown', 'Cohen']) AS last) names;

-- Inpatients: patients 1 to 300, 25 on each of the 12 wards (n = 1 is on ward 1, n = 13 again).
INSERT INTO clinic.bed_assignment (bed_assignment_id, ward_id, bed, patient_id, from_time, to_time)
SELECT n, 1 + (n - 1) % 12, (1 + (n - 1) / 12)::int2, 880000 + n,
    timestamptz '2025-06-15 08:00+00' - make_interval(hours => 1 + pg_temp.pick('in' || n, 200)), NULL
FROM generate_series(1, 300) n
UNION ALL                                                   -- earlier stays
SELECT 300 + n, 1 + n % 12, (1 + n % 25)::int2, 880300 + n,
    timestamptz '2025-03-01 08:00+00' + make_interval(hours => n * 3),
    timestamptz '2025-03-03 08:00+00' + make_interval(hours => n * 3)
FROM generate_series(1, 400) n
UNION ALL                                                   -- closed beds
SELECT 700 + n, n, 28::int2, NULL, timestamptz '2025-06-01 06:00+00', NULL FROM generate_series(1, 6) n;

INSERT INTO clinic.encounter (encounter_id, patient_id, ward_id, kind, attending, admitted_at, discharged_at, complaint, charge)
SELECT n,
    CASE WHEN n % 800 <> 0 THEN 880000 + 1 + (n - 1) % 2000 END,
    1 + (n - 1) % 12,
    CASE WHEN n <= 300 THEN 'inpatient' ELSE pg_temp.one('ek' || n, ARRAY['outpatient', 'outpatient', 'emergency', 'inpatient']) END,
    pg_temp.one('ea' || n, ARRAY['dr_chen', 'dr_diaz', 'dr_evans', 'dr_fischer']),
    admitted,
    CASE WHEN n > 300 THEN admitted + make_interval(hours => 1 + pg_temp.pick('ed' || n, 90)) END,
    pg_temp.one('ec' || n, ARRAY['chest pain', 'shortness of breath', 'abdominal pain', 'fall', 'fever', 'headache', 'routine control', 'syncope']),
    (50 + pg_temp.pick('ch' || n, 900000) / 100.0)::numeric(10,2)
FROM generate_series(1, 4000) n
CROSS JOIN LATERAL (SELECT CASE WHEN n <= 300
    THEN timestamptz '2025-06-15 07:00+00' - make_interval(hours => pg_temp.pick('in' || n, 200))
    ELSE timestamptz '2025-06-14 12:00+00' - make_interval(hours => 100 + pg_temp.pick('eh' || n, 9000)) END AS admitted) t;

INSERT INTO clinic.care_team (patient_id, member, function, since)
SELECT 880000 + n, pg_temp.one('ct' || n, ARRAY['dr_chen', 'dr_diaz', 'dr_evans', 'dr_fischer']), 'attending', date '2025-06-01' - n % 300
FROM generate_series(1, 2000) n
UNION ALL
SELECT 880000 + n, 'nurse_' || pg_temp.one('cn' || n, ARRAY['amy', 'bob', 'cleo', 'dan', 'eve']), 'primary nurse', date '2025-06-10'
FROM generate_series(1, 300) n;

INSERT INTO clinic.problem (problem_id, patient_id, icd10, title, onset, status)
SELECT n, 880000 + 1 + (n - 1) % 2000, split_part(p, '|', 1), split_part(p, '|', 2),
    CASE WHEN n % 31 <> 0 THEN date '2025-06-01' - pg_temp.pick('po' || n, 5000) END,
    CASE WHEN n % 6 = 0 THEN 'resolved' ELSE 'active' END
FROM generate_series(1, 4200) n
CROSS JOIN LATERAL (SELECT pg_temp.one('p' || n, ARRAY['I48.91|atrial fibrillation', 'I10|hypertension', 'E11.9|type 2 diabetes',
    'J44.9|COPD', 'N18.3|chronic kidney disease, stage 3', 'I50.9|heart failure', 'F32.9|depression', 'C50.9|breast cancer',
    'M16.1|osteoarthritis of the hip', 'E03.9|hypothyroidism', 'G40.9|epilepsy', 'J45.9|asthma']) AS p) x;

INSERT INTO clinic.allergy (allergy_id, patient_id, substance, reaction, severity)
SELECT n, 880000 + 1 + (n * 3 - 1) % 2000,
    pg_temp.one('as' || n, ARRAY['penicillin', 'latex', 'ibuprofen', 'contrast medium', 'peanut', 'sulfonamide']),
    pg_temp.one('ar' || n, ARRAY['rash', 'anaphylaxis', 'nausea', 'swelling']),
    pg_temp.one('av' || n, ARRAY['mild', 'moderate', 'severe'])
FROM generate_series(1, 1500) n;

INSERT INTO clinic.lab_order (order_id, patient_id, encounter_id, panel, ordered_by, ordered_at)
SELECT n,
    CASE WHEN n % 750 <> 0 THEN 880000 + 1 + (n - 1) % 2000 END,
    CASE WHEN n <= 4000 THEN n END,
    pg_temp.one('lp' || n, ARRAY['blood count', 'coagulation', 'basic metabolic']),
    pg_temp.one('lb' || n, ARRAY['dr_chen', 'dr_diaz', 'dr_evans', 'dr_fischer']),
    timestamptz '2025-06-15 07:30+00' - make_interval(mins => CASE WHEN n <= 300 THEN pg_temp.pick('lt' || n, 4000) ELSE pg_temp.pick('lt' || n, 500000) END)
FROM generate_series(1, 6000) n;

-- Three analytes a panel, with their reference range; a tenth of the values lies outside.
INSERT INTO clinic.lab_result (result_id, order_id, analyte, value, unit, flag, resulted_at)
SELECT o.order_id * 10 + a.i,
    CASE WHEN (o.order_id * 10 + a.i) % 2500 <> 1 THEN o.order_id END,
    a.analyte, v.value, a.unit,
    CASE WHEN v.value < a.low THEN 'L' WHEN v.value > a.high THEN 'H' END,
    o.ordered_at + interval '50 minutes'
FROM clinic.lab_order o
JOIN (VALUES
    ('blood count', 1, 'hemoglobin', 'g/dL', 12.0, 17.0), ('blood count', 2, 'platelets', '10^9/L', 150, 400),
    ('blood count', 3, 'leukocytes', '10^9/L', 4.0, 11.0),
    ('coagulation', 1, 'INR', 'ratio', 0.8, 1.2), ('coagulation', 2, 'aPTT', 's', 25, 37), ('coagulation', 3, 'fibrinogen', 'g/L', 1.8, 4.0),
    ('basic metabolic', 1, 'potassium', 'mmol/L', 3.5, 5.1), ('basic metabolic', 2, 'creatinine', 'mg/dL', 0.6, 1.3),
    ('basic metabolic', 3, 'glucose', 'mg/dL', 70, 140)
) AS a (panel, i, analyte, unit, low, high) USING (panel)
CROSS JOIN LATERAL (SELECT CASE WHEN o.order_id % 151 <> 0 THEN
    (a.low + (a.high - a.low) * (pg_temp.pick('v' || o.order_id || a.analyte, 1250) - 125) / 1000.0)::numeric(6,2) END AS value) v;

INSERT INTO clinic.medication_order (medication_order_id, patient_id, drug_id, dose, unit, frequency, status, prescriber, started_at, stopped_at)
SELECT n, 880000 + 1 + (n - 1) % 2000, 1 + pg_temp.pick('d' || n, 20), (pg_temp.pick('do' || n, 40) + 1) * 2.5, 'mg',
    pg_temp.one('fr' || n, ARRAY['once daily', 'twice daily', 'three times daily', 'as needed']),
    CASE WHEN n % 3 = 0 THEN 'stopped' ELSE 'active' END,
    pg_temp.one('mp' || n, ARRAY['dr_chen', 'dr_diaz', 'dr_evans', 'dr_fischer']),
    timestamptz '2025-06-14 18:00+00' - make_interval(hours => pg_temp.pick('ms' || n, 8000)),
    CASE WHEN n % 3 = 0 THEN timestamptz '2025-06-15 06:00+00' END
FROM generate_series(1, 5000) n;
-- The patient of the tour: unconscious, and on warfarin.
UPDATE clinic.medication_order SET drug_id = 1, dose = 5, status = 'active', stopped_at = NULL WHERE medication_order_id = 1234;

INSERT INTO clinic.note (note_id, patient_id, encounter_id, author, kind, written_at, body)
SELECT n, 880000 + 1 + (n - 1) % 2000, CASE WHEN n <= 4000 THEN n END,
    pg_temp.one('na' || n, ARRAY['dr_chen', 'dr_diaz', 'nurse_amy', 'nurse_bob', 'dr_evans']),
    pg_temp.one('nk' || n, ARRAY['progress', 'nursing', 'admission', 'discharge']),
    timestamptz '2025-06-15 06:00+00' - make_interval(mins => pg_temp.pick('nt' || n, 400000)),
    format('%s. %s %s. Plan: %s.', p.name,
        pg_temp.one('n1' || n, ARRAY['Patient reports', 'Family reports', 'No change since yesterday;']),
        pg_temp.one('n2' || n, ARRAY['less pain', 'dizziness on standing', 'poor sleep', 'good appetite', 'palpitations']),
        pg_temp.one('n3' || n, ARRAY['continue', 'repeat blood count tomorrow', 'mobilise', 'ask cardiology', 'discharge planning']))
FROM generate_series(1, 6000) n
JOIN clinic.patient p ON p.patient_id = 880000 + 1 + (n - 1) % 2000;
ALTER TABLE clinic.note ALTER COLUMN note_id RESTART WITH 6001;

INSERT INTO clinic.appointment (appointment_id, patient_id, ward_id, starts_at, minutes, reason, status)
SELECT n, CASE WHEN n % 300 <> 0 THEN 880000 + 1 + (n * 7 - 1) % 2000 END, 1 + n % 12,
    timestamptz '2025-06-15 08:00+00' + make_interval(mins => (n - 1500) * 15), (15 + n % 3 * 15)::int2,
    pg_temp.one('ap' || n, ARRAY['control', 'wound check', 'infusion', 'imaging', 'consultation']),
    CASE WHEN n % 300 = 0 THEN 'open' WHEN n > 1500 THEN 'booked' WHEN n % 9 = 0 THEN 'missed' ELSE 'kept' END
FROM generate_series(1, 3000) n;

-- Assignments: nurses have the 25 inpatients of their ward, physicians the 100 of four wards and
-- 20 outpatients; then some that ran out long ago. Assignments that hold have no end.
INSERT INTO glass.assigned (user_name, patient_id, valid_to)
SELECT u.name, b.patient_id, NULL::timestamptz
FROM (VALUES ('nurse_amy', ARRAY[3]), ('nurse_bob', ARRAY[5]), ('dr_chen', ARRAY[1, 2, 3, 4]), ('dr_diaz', ARRAY[5, 6, 7, 8]))
    AS u (name, wards)
JOIN clinic.bed_assignment b ON b.ward_id = ANY (u.wards) AND b.to_time IS NULL AND b.patient_id IS NOT NULL
UNION ALL
SELECT 'dr_chen', 880000 + n, NULL FROM generate_series(401, 420) n
UNION ALL
SELECT 'dr_diaz', 880000 + n, NULL FROM generate_series(421, 440) n
UNION ALL
SELECT 'nurse_amy', 880000 + n, timestamptz '2020-01-01 00:00+00' FROM generate_series(501, 505) n
UNION ALL
SELECT 'dr_chen', 880000 + n, timestamptz '2020-01-01 00:00+00' FROM generate_series(506, 510) n;

ANALYZE clinic.patient, clinic.encounter, clinic.bed_assignment, clinic.care_team, clinic.problem, clinic.allergy,
    clinic.lab_order, clinic.lab_result, clinic.medication_order, clinic.note, clinic.appointment, clinic.ward, clinic.drug, glass.assigned;
