-- Queries that object mappers and query builders made of a program's calls, recorded from a server's log, without
-- repetitions; those of mappers without a package here are written after their manner.

-- SQLAlchemy 2, psycopg2 (literals)
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.patient_id = 880003
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.patient_id IN (880003, 880015, 880027)
SELECT anon_1.patient_id, anon_1.mrn, anon_1.ssn, anon_1.name, anon_1.sex, anon_1.birth_date, anon_1.phone, anon_1.address, anon_1.zip, anon_1.email, anon_1.language, encounter_1.encounter_id, encounter_1.patient_id AS patient_id_1, encounter_1.ward_id, encounter_1.kind, encounter_1.attending, encounter_1.admitted_at, encounter_1.discharged_at, encounter_1.complaint, encounter_1.charge FROM (SELECT clinic.patient.patient_id AS patient_id, clinic.patient.mrn AS mrn, clinic.patient.ssn AS ssn, clinic.patient.name AS name, clinic.patient.sex AS sex, clinic.patient.birth_date AS birth_date, clinic.patient.phone AS phone, clinic.patient.address AS address, clinic.patient.zip AS zip, clinic.patient.email AS email, clinic.patient.language AS language FROM clinic.patient LIMIT 10) AS anon_1 LEFT OUTER JOIN clinic.encounter AS encounter_1 ON anon_1.patient_id = encounter_1.patient_id
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient ORDER BY clinic.patient.name LIMIT 5 OFFSET 5
SELECT clinic.problem.patient_id, clinic.problem.problem_id, clinic.problem.icd10, clinic.problem.title, clinic.problem.onset, clinic.problem.status FROM clinic.problem WHERE clinic.problem.patient_id IN (880003, 881105, 880433, 881187, 880125)
SELECT clinic.encounter.patient_id, clinic.encounter.encounter_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter WHERE clinic.encounter.patient_id IN (880003, 881105, 880433, 881187, 880125)
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient LIMIT 5
SELECT clinic.encounter.encounter_id AS clinic_encounter_encounter_id, clinic.encounter.patient_id AS clinic_encounter_patient_id, clinic.encounter.ward_id AS clinic_encounter_ward_id, clinic.encounter.kind AS clinic_encounter_kind, clinic.encounter.attending AS clinic_encounter_attending, clinic.encounter.admitted_at AS clinic_encounter_admitted_at, clinic.encounter.discharged_at AS clinic_encounter_discharged_at, clinic.encounter.complaint AS clinic_encounter_complaint, clinic.encounter.charge AS clinic_encounter_charge, anon_1.clinic_patient_patient_id AS anon_1_clinic_patient_patient_id FROM (SELECT clinic.patient.patient_id AS clinic_patient_patient_id FROM clinic.patient LIMIT 5) AS anon_1 JOIN clinic.encounter ON anon_1.clinic_patient_patient_id = clinic.encounter.patient_id
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge, patient_1.patient_id AS patient_id_1, patient_1.mrn, patient_1.ssn, patient_1.name, patient_1.sex, patient_1.birth_date, patient_1.phone, patient_1.address, patient_1.zip, patient_1.email, patient_1.language, ward_1.ward_id AS ward_id_1, ward_1.code, ward_1.name AS name_1, ward_1.floor, ward_1.beds FROM clinic.encounter JOIN clinic.patient AS patient_1 ON patient_1.patient_id = clinic.encounter.patient_id LEFT OUTER JOIN clinic.ward AS ward_1 ON ward_1.ward_id = clinic.encounter.ward_id ORDER BY clinic.encounter.admitted_at DESC LIMIT 20
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter JOIN clinic.patient ON clinic.patient.patient_id = clinic.encounter.patient_id WHERE clinic.patient.name ILIKE '%an%' ORDER BY clinic.encounter.encounter_id
SELECT count(*) AS count_1 FROM clinic.patient
SELECT count(*) AS count_1 FROM (SELECT clinic.patient.patient_id AS patient_id, clinic.patient.mrn AS mrn, clinic.patient.ssn AS ssn, clinic.patient.name AS name, clinic.patient.sex AS sex, clinic.patient.birth_date AS birth_date, clinic.patient.phone AS phone, clinic.patient.address AS address, clinic.patient.zip AS zip, clinic.patient.email AS email, clinic.patient.language AS language FROM clinic.patient WHERE clinic.patient.sex = 'F') AS anon_1
SELECT count(DISTINCT clinic.encounter.patient_id) AS count_1 FROM clinic.encounter
SELECT EXISTS (SELECT * FROM clinic.encounter WHERE clinic.encounter.patient_id = 880003) AS anon_1
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE EXISTS (SELECT 1 FROM clinic.encounter WHERE clinic.patient.patient_id = clinic.encounter.patient_id AND clinic.encounter.kind = 'inpatient')
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE NOT (EXISTS (SELECT 1 FROM clinic.encounter WHERE clinic.patient.patient_id = clinic.encounter.patient_id))
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter WHERE EXISTS (SELECT 1 FROM clinic.patient WHERE clinic.patient.patient_id = clinic.encounter.patient_id AND clinic.patient.sex = 'M')
SELECT clinic.patient.sex, count(clinic.patient.patient_id) AS n FROM clinic.patient GROUP BY clinic.patient.sex HAVING count(clinic.patient.patient_id) > 1 ORDER BY n DESC
SELECT anon_1.encounter_id, anon_1.patient_id, anon_1.ward_id, anon_1.kind, anon_1.attending, anon_1.admitted_at, anon_1.discharged_at, anon_1.complaint, anon_1.charge FROM (SELECT clinic.encounter.encounter_id AS encounter_id, clinic.encounter.patient_id AS patient_id, clinic.encounter.ward_id AS ward_id, clinic.encounter.kind AS kind, clinic.encounter.attending AS attending, clinic.encounter.admitted_at AS admitted_at, clinic.encounter.discharged_at AS discharged_at, clinic.encounter.complaint AS complaint, clinic.encounter.charge AS charge, row_number() OVER (PARTITION BY clinic.encounter.patient_id ORDER BY clinic.encounter.admitted_at DESC) AS rn FROM clinic.encounter) AS anon_1 WHERE anon_1.rn = 1
SELECT clinic.patient.name, (SELECT count(clinic.encounter.encounter_id) AS count_1 FROM clinic.encounter WHERE clinic.encounter.patient_id = clinic.patient.patient_id) AS anon_1 FROM clinic.patient
WITH latest AS (SELECT clinic.encounter.patient_id AS patient_id, max(clinic.encounter.admitted_at) AS m FROM clinic.encounter GROUP BY clinic.encounter.patient_id) SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter JOIN latest ON latest.patient_id = clinic.encounter.patient_id AND latest.m = clinic.encounter.admitted_at
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.name LIKE 'A%' OR clinic.patient.sex = 'F' AND clinic.patient.zip IS NOT NULL
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE (clinic.patient.patient_id, clinic.patient.sex) IN ((880003, 'F'), (880015, 'M'))
SELECT clinic.patient.name FROM clinic.patient UNION ALL SELECT clinic.encounter.attending FROM clinic.encounter ORDER BY name LIMIT 5
SELECT coalesce(sum(clinic.encounter.charge), 0) AS coalesce_1 FROM clinic.encounter WHERE clinic.encounter.kind = 'inpatient'
SELECT date_trunc('month', clinic.encounter.admitted_at) AS date_trunc_1, count(*) AS count_1 FROM clinic.encounter GROUP BY date_trunc('month', clinic.encounter.admitted_at) ORDER BY date_trunc('month', clinic.encounter.admitted_at)
SELECT CASE WHEN (clinic.encounter.charge > 1000) THEN 'high' ELSE 'low' END AS anon_1, count(*) AS count_1 FROM clinic.encounter GROUP BY CASE WHEN (clinic.encounter.charge > 1000) THEN 'high' ELSE 'low' END
SELECT EXTRACT(year FROM clinic.patient.birth_date) AS anon_1, avg(clinic.encounter.charge) AS avg_1 FROM clinic.patient JOIN clinic.encounter ON clinic.patient.patient_id = clinic.encounter.patient_id GROUP BY EXTRACT(year FROM clinic.patient.birth_date)
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE lower(clinic.patient.name) = lower('Ann')
SELECT json_agg(json_build_object('id', clinic.patient.patient_id, 'n', clinic.patient.name)) AS json_agg_1 FROM clinic.patient
SELECT DISTINCT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.birth_date BETWEEN '1950-01-01'::date AND '1960-01-01'::date
SELECT DISTINCT ON (clinic.patient.sex) clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient ORDER BY clinic.patient.sex, clinic.patient.birth_date
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.patient_id = ANY (ARRAY[1, 2])
SELECT clinic.encounter.kind, percentile_cont(0.5) WITHIN GROUP (ORDER BY clinic.encounter.charge) AS percentile_cont_1 FROM clinic.encounter GROUP BY clinic.encounter.kind
SELECT clinic.patient.patient_id FROM clinic.patient WHERE clinic.patient.name ~ '^A'
SELECT CAST(clinic.encounter.admitted_at AS DATE) AS admitted_at, count(*) AS count_1 FROM clinic.encounter GROUP BY CAST(clinic.encounter.admitted_at AS DATE)
SELECT clinic.patient.name, l.kind FROM clinic.patient JOIN LATERAL (SELECT clinic.encounter.kind AS kind FROM clinic.encounter WHERE clinic.encounter.patient_id = clinic.patient.patient_id ORDER BY clinic.encounter.admitted_at DESC LIMIT 1) AS l ON true
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter WHERE 880003 = clinic.encounter.patient_id
SELECT clinic.problem.problem_id, clinic.problem.patient_id, clinic.problem.icd10, clinic.problem.title, clinic.problem.onset, clinic.problem.status FROM clinic.problem WHERE 880003 = clinic.problem.patient_id

-- SQLAlchemy 2, psycopg 3 (parameters)
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.patient_id = $1::BIGINT
SELECT anon_1.patient_id, anon_1.mrn, anon_1.ssn, anon_1.name, anon_1.sex, anon_1.birth_date, anon_1.phone, anon_1.address, anon_1.zip, anon_1.email, anon_1.language, encounter_1.encounter_id, encounter_1.patient_id AS patient_id_1, encounter_1.ward_id, encounter_1.kind, encounter_1.attending, encounter_1.admitted_at, encounter_1.discharged_at, encounter_1.complaint, encounter_1.charge FROM (SELECT clinic.patient.patient_id AS patient_id, clinic.patient.mrn AS mrn, clinic.patient.ssn AS ssn, clinic.patient.name AS name, clinic.patient.sex AS sex, clinic.patient.birth_date AS birth_date, clinic.patient.phone AS phone, clinic.patient.address AS address, clinic.patient.zip AS zip, clinic.patient.email AS email, clinic.patient.language AS language FROM clinic.patient LIMIT $1::INTEGER) AS anon_1 LEFT OUTER JOIN clinic.encounter AS encounter_1 ON anon_1.patient_id = encounter_1.patient_id
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient ORDER BY clinic.patient.name LIMIT $1::INTEGER OFFSET $2::INTEGER
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient LIMIT $1::INTEGER
SELECT clinic.encounter.encounter_id AS clinic_encounter_encounter_id, clinic.encounter.patient_id AS clinic_encounter_patient_id, clinic.encounter.ward_id AS clinic_encounter_ward_id, clinic.encounter.kind AS clinic_encounter_kind, clinic.encounter.attending AS clinic_encounter_attending, clinic.encounter.admitted_at AS clinic_encounter_admitted_at, clinic.encounter.discharged_at AS clinic_encounter_discharged_at, clinic.encounter.complaint AS clinic_encounter_complaint, clinic.encounter.charge AS clinic_encounter_charge, anon_1.clinic_patient_patient_id AS anon_1_clinic_patient_patient_id FROM (SELECT clinic.patient.patient_id AS clinic_patient_patient_id FROM clinic.patient LIMIT $1::INTEGER) AS anon_1 JOIN clinic.encounter ON anon_1.clinic_patient_patient_id = clinic.encounter.patient_id
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge, patient_1.patient_id AS patient_id_1, patient_1.mrn, patient_1.ssn, patient_1.name, patient_1.sex, patient_1.birth_date, patient_1.phone, patient_1.address, patient_1.zip, patient_1.email, patient_1.language, ward_1.ward_id AS ward_id_1, ward_1.code, ward_1.name AS name_1, ward_1.floor, ward_1.beds FROM clinic.encounter JOIN clinic.patient AS patient_1 ON patient_1.patient_id = clinic.encounter.patient_id LEFT OUTER JOIN clinic.ward AS ward_1 ON ward_1.ward_id = clinic.encounter.ward_id ORDER BY clinic.encounter.admitted_at DESC LIMIT $1::INTEGER
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter JOIN clinic.patient ON clinic.patient.patient_id = clinic.encounter.patient_id WHERE clinic.patient.name ILIKE $1::VARCHAR ORDER BY clinic.encounter.encounter_id
SELECT count(*) AS count_1 FROM (SELECT clinic.patient.patient_id AS patient_id, clinic.patient.mrn AS mrn, clinic.patient.ssn AS ssn, clinic.patient.name AS name, clinic.patient.sex AS sex, clinic.patient.birth_date AS birth_date, clinic.patient.phone AS phone, clinic.patient.address AS address, clinic.patient.zip AS zip, clinic.patient.email AS email, clinic.patient.language AS language FROM clinic.patient WHERE clinic.patient.sex = $1::VARCHAR) AS anon_1
SELECT EXISTS (SELECT * FROM clinic.encounter WHERE clinic.encounter.patient_id = $1::BIGINT) AS anon_1
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE EXISTS (SELECT 1 FROM clinic.encounter WHERE clinic.patient.patient_id = clinic.encounter.patient_id AND clinic.encounter.kind = $1::VARCHAR)
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter WHERE EXISTS (SELECT 1 FROM clinic.patient WHERE clinic.patient.patient_id = clinic.encounter.patient_id AND clinic.patient.sex = $1::VARCHAR)
SELECT clinic.patient.sex, count(clinic.patient.patient_id) AS n FROM clinic.patient GROUP BY clinic.patient.sex HAVING count(clinic.patient.patient_id) > $1::INTEGER ORDER BY n DESC
SELECT anon_1.encounter_id, anon_1.patient_id, anon_1.ward_id, anon_1.kind, anon_1.attending, anon_1.admitted_at, anon_1.discharged_at, anon_1.complaint, anon_1.charge FROM (SELECT clinic.encounter.encounter_id AS encounter_id, clinic.encounter.patient_id AS patient_id, clinic.encounter.ward_id AS ward_id, clinic.encounter.kind AS kind, clinic.encounter.attending AS attending, clinic.encounter.admitted_at AS admitted_at, clinic.encounter.discharged_at AS discharged_at, clinic.encounter.complaint AS complaint, clinic.encounter.charge AS charge, row_number() OVER (PARTITION BY clinic.encounter.patient_id ORDER BY clinic.encounter.admitted_at DESC) AS rn FROM clinic.encounter) AS anon_1 WHERE anon_1.rn = $1::INTEGER
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.name LIKE $1::VARCHAR OR clinic.patient.sex = $2::VARCHAR AND clinic.patient.zip IS NOT NULL
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE (clinic.patient.patient_id, clinic.patient.sex) IN (($1, $2), ($3, $4))
SELECT clinic.patient.name FROM clinic.patient UNION ALL SELECT clinic.encounter.attending FROM clinic.encounter ORDER BY name LIMIT $1::INTEGER
SELECT coalesce(sum(clinic.encounter.charge), $1::INTEGER) AS coalesce_1 FROM clinic.encounter WHERE clinic.encounter.kind = $2::VARCHAR
SELECT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE lower(clinic.patient.name) = lower($1::VARCHAR)
SELECT DISTINCT clinic.patient.patient_id, clinic.patient.mrn, clinic.patient.ssn, clinic.patient.name, clinic.patient.sex, clinic.patient.birth_date, clinic.patient.phone, clinic.patient.address, clinic.patient.zip, clinic.patient.email, clinic.patient.language FROM clinic.patient WHERE clinic.patient.birth_date BETWEEN $1::DATE AND $2::DATE
SELECT clinic.encounter.kind, percentile_cont($1) WITHIN GROUP (ORDER BY clinic.encounter.charge) AS percentile_cont_1 FROM clinic.encounter GROUP BY clinic.encounter.kind
SELECT clinic.patient.patient_id FROM clinic.patient WHERE clinic.patient.name ~ $1::VARCHAR
SELECT clinic.patient.name, l.kind FROM clinic.patient JOIN LATERAL (SELECT clinic.encounter.kind AS kind FROM clinic.encounter WHERE clinic.encounter.patient_id = clinic.patient.patient_id ORDER BY clinic.encounter.admitted_at DESC LIMIT $1::INTEGER) AS l ON true
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter WHERE $1::BIGINT = clinic.encounter.patient_id
SELECT clinic.problem.problem_id, clinic.problem.patient_id, clinic.problem.icd10, clinic.problem.title, clinic.problem.onset, clinic.problem.status FROM clinic.problem WHERE $1::BIGINT = clinic.problem.patient_id

-- Django
SELECT * FROM "appointment" LIMIT 1
SELECT * FROM "bed_assignment" LIMIT 1
SELECT * FROM "care_team" LIMIT 1
SELECT * FROM "drug" LIMIT 1
SELECT * FROM "encounter" LIMIT 1
SELECT * FROM "patient" LIMIT 1
SELECT * FROM "problem" LIMIT 1
SELECT * FROM "ward" LIMIT 1
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" LIMIT 20
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE "patient"."patient_id" = 880003 LIMIT 21
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE "patient"."patient_id" IN (880003, 880015)
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE UPPER("patient"."name"::text) LIKE UPPER('%an%') ORDER BY "patient"."name" ASC LIMIT 10 OFFSET 10
SELECT COUNT(*) AS "__count" FROM "patient"
SELECT 1 AS "a" FROM "patient" WHERE "patient"."sex" = 'F' LIMIT 1
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" ORDER BY "patient"."patient_id" ASC LIMIT 1
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" ORDER BY "patient"."patient_id" DESC LIMIT 1
SELECT "encounter"."encounter_id", "encounter"."patient_id", "encounter"."ward_id", "encounter"."kind", "encounter"."attending", "encounter"."admitted_at", "encounter"."discharged_at", "encounter"."charge", "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone", "ward"."ward_id", "ward"."code", "ward"."name" FROM "encounter" LEFT OUTER JOIN "patient" ON ("encounter"."patient_id" = "patient"."patient_id") LEFT OUTER JOIN "ward" ON ("encounter"."ward_id" = "ward"."ward_id") ORDER BY "encounter"."admitted_at" DESC LIMIT 25
SELECT "encounter"."encounter_id", "encounter"."patient_id", "encounter"."ward_id", "encounter"."kind", "encounter"."attending", "encounter"."admitted_at", "encounter"."discharged_at", "encounter"."charge" FROM "encounter" WHERE "encounter"."patient_id" IN (880003, 880002, 880003, 880004, 880005)
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone", COUNT("encounter"."encounter_id") AS "n" FROM "patient" LEFT OUTER JOIN "encounter" ON ("patient"."patient_id" = "encounter"."patient_id") GROUP BY "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" HAVING COUNT("encounter"."encounter_id") > 1 ORDER BY 8 DESC
SELECT "encounter"."kind" AS "kind", COUNT("encounter"."encounter_id") AS "n", SUM("encounter"."charge") AS "s", AVG("encounter"."charge") AS "a" FROM "encounter" GROUP BY 1 ORDER BY 1 ASC
SELECT DATE_TRUNC('month', "encounter"."admitted_at" AT TIME ZONE 'America/Chicago') AS "m", COUNT("encounter"."encounter_id") AS "n" FROM "encounter" GROUP BY 1 ORDER BY 1 ASC
SELECT COUNT(DISTINCT "encounter"."patient_id") AS "n", SUM("encounter"."charge") AS "charge__sum", MAX("encounter"."charge") AS "charge__max" FROM "encounter"
SELECT DISTINCT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" INNER JOIN "encounter" ON ("patient"."patient_id" = "encounter"."patient_id") WHERE "encounter"."kind" = 'inpatient'
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE NOT (EXISTS(SELECT 1 AS "a" FROM "encounter" U1 WHERE (U1."kind" = 'inpatient' AND U1."patient_id" = ("patient"."patient_id")) LIMIT 1))
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE EXISTS(SELECT 1 AS "a" FROM "encounter" U0 WHERE (U0."kind" = 'emergency' AND U0."patient_id" = ("patient"."patient_id")) LIMIT 1)
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone", (SELECT U0."kind" AS "kind" FROM "encounter" U0 WHERE U0."patient_id" = ("patient"."patient_id") ORDER BY U0."admitted_at" DESC LIMIT 1) AS "last" FROM "patient"
SELECT "encounter"."encounter_id", "encounter"."patient_id", "encounter"."ward_id", "encounter"."kind", "encounter"."attending", "encounter"."admitted_at", "encounter"."discharged_at", "encounter"."charge", RANK() OVER (PARTITION BY "encounter"."patient_id" ORDER BY "encounter"."charge" DESC) AS "rk" FROM "encounter" LIMIT 10
SELECT * FROM ( SELECT "encounter"."encounter_id" AS "col1", "encounter"."patient_id" AS "col2", "encounter"."ward_id" AS "col3", "encounter"."kind" AS "col4", "encounter"."attending" AS "col5", "encounter"."admitted_at" AS "col6", "encounter"."discharged_at" AS "col7", "encounter"."charge" AS "col8", ROW_NUMBER() OVER (PARTITION BY "encounter"."patient_id" ORDER BY "encounter"."admitted_at" DESC) AS "rk" FROM "encounter" ) "qualify" WHERE "rk" = 1
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone", (EXTRACT(YEAR FROM STATEMENT_TIMESTAMP() AT TIME ZONE 'America/Chicago') - EXTRACT(YEAR FROM "patient"."birth_date")) AS "age" FROM "patient" WHERE (EXTRACT(YEAR FROM STATEMENT_TIMESTAMP() AT TIME ZONE 'America/Chicago') - EXTRACT(YEAR FROM "patient"."birth_date")) > 60
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE "patient"."birth_date" BETWEEN '1960-01-01'::date AND '1960-12-31'::date
SELECT "encounter"."encounter_id", "encounter"."patient_id", "encounter"."ward_id", "encounter"."kind", "encounter"."attending", "encounter"."admitted_at", "encounter"."discharged_at", "encounter"."charge" FROM "encounter" WHERE ("encounter"."admitted_at" AT TIME ZONE 'America/Chicago')::date = '2024-01-01'::date
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone", UPPER("patient"."name") AS "u", LENGTH("patient"."name") AS "l" FROM "patient" WHERE LENGTH("patient"."name") > 5
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE ("patient"."name"::text LIKE 'A%' OR NOT ("patient"."sex" = 'F'))
SELECT DISTINCT "patient"."sex" AS "sex" FROM "patient"
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE (UPPER("patient"."name"::text) = UPPER('x') AND "patient"."zip" IS NULL)
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE "patient"."name"::text ~ '^A'
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" WHERE "patient"."name"::text ~* '^a'
SELECT AVG(("encounter"."discharged_at" - "encounter"."admitted_at")) AS "d__avg" FROM "encounter"
SELECT STRING_AGG("encounter"."kind", ',' ) AS "x" FROM "encounter"
SELECT ARRAY_AGG("patient"."name" ) AS "x" FROM "patient"
SELECT JSONB_AGG("patient"."name" ) AS "x" FROM "patient"
SELECT (COALESCE("patient"."name", '') || COALESCE((COALESCE('-', '') || COALESCE("patient"."mrn", '')), '')) AS "c" FROM "patient"
SELECT CASE WHEN "encounter"."charge" > 100 THEN 'h' ELSE 'l' END AS "b", COUNT("encounter"."encounter_id") AS "n" FROM "encounter" GROUP BY 1
SELECT COALESCE("patient"."phone", "patient"."zip", '-') AS "c" FROM "patient"
(SELECT "patient"."patient_id" AS "col1", "patient"."mrn" AS "col2", "patient"."name" AS "col3", "patient"."sex" AS "col4", "patient"."birth_date" AS "col5", "patient"."zip" AS "col6", "patient"."phone" AS "col7" FROM "patient" WHERE "patient"."name" = 'a') UNION (SELECT "patient"."patient_id" AS "col1", "patient"."mrn" AS "col2", "patient"."name" AS "col3", "patient"."sex" AS "col4", "patient"."birth_date" AS "col5", "patient"."zip" AS "col6", "patient"."phone" AS "col7" FROM "patient" WHERE "patient"."name" = 'b')
SELECT DISTINCT DATE_TRUNC('year', "patient"."birth_date") AS "datefield" FROM "patient" WHERE "patient"."birth_date" IS NOT NULL ORDER BY 1 ASC
SELECT DISTINCT DATE_TRUNC('month', "encounter"."admitted_at" AT TIME ZONE 'America/Chicago') AS "datetimefield" FROM "encounter" WHERE "encounter"."admitted_at" IS NOT NULL ORDER BY 1 ASC
SELECT "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone" FROM "patient" ORDER BY RANDOM() ASC LIMIT 2
SELECT "patient"."name" AS "patient__name", "ward"."name" AS "ward__name" FROM "encounter" INNER JOIN "patient" ON ("encounter"."patient_id" = "patient"."patient_id") INNER JOIN "ward" ON ("encounter"."ward_id" = "ward"."ward_id") WHERE ("patient"."name"::text LIKE '%a%' AND "ward"."code" = 'W1')
SELECT "encounter"."encounter_id", "encounter"."patient_id", "encounter"."ward_id", "encounter"."kind", "encounter"."attending", "encounter"."admitted_at", "encounter"."discharged_at", "encounter"."charge" FROM "encounter" WHERE "encounter"."charge" >= ("encounter"."charge" * 2)
SELECT "encounter"."encounter_id", "encounter"."patient_id", "encounter"."ward_id", "encounter"."kind", "encounter"."attending", "encounter"."admitted_at", "encounter"."discharged_at", "encounter"."charge" FROM "encounter" ORDER BY "encounter"."admitted_at" ASC LIMIT 1
SELECT COUNT("encounter"."encounter_id") FILTER (WHERE "encounter"."kind" = 'inpatient') AS "ec" FROM "patient" LEFT OUTER JOIN "encounter" ON ("patient"."patient_id" = "encounter"."patient_id") GROUP BY "patient"."patient_id", "patient"."mrn", "patient"."name", "patient"."sex", "patient"."birth_date", "patient"."zip", "patient"."phone"
SELECT COUNT(*) FROM (SELECT "patient"."patient_id" AS "col1" FROM "patient" LEFT OUTER JOIN "encounter" ON ("patient"."patient_id" = "encounter"."patient_id") GROUP BY 1 HAVING COUNT("encounter"."encounter_id") >= 2) subquery
SELECT COUNT(*) AS "__count" FROM "encounter" WHERE "encounter"."patient_id" IN (SELECT U0."patient_id" FROM "patient" U0 WHERE U0."sex" = 'M')

-- ActiveRecord
SELECT "patient".* FROM "patient" WHERE "patient"."patient_id" = $1 LIMIT $2
SELECT "patient".* FROM "patient" ORDER BY "patient"."patient_id" ASC LIMIT $1
SELECT "patient".* FROM "patient" ORDER BY "patient"."patient_id" DESC LIMIT $1
SELECT "patient".* FROM "patient" WHERE "patient"."sex" = $1 ORDER BY "patient"."name" ASC LIMIT $2 OFFSET $3
SELECT "patient".* FROM "patient" WHERE "patient"."patient_id" IN ($1, $2, $3)
SELECT COUNT(*) FROM "patient"
SELECT 1 AS one FROM "patient" WHERE "patient"."patient_id" = $1 LIMIT $2
SELECT "patient".* FROM "patient" LIMIT $1
SELECT "encounter".* FROM "encounter" WHERE "encounter"."patient_id" IN ($1, $2, $3)
SELECT DISTINCT "patient"."patient_id" FROM "patient" LEFT OUTER JOIN "encounter" ON "encounter"."patient_id" = "patient"."patient_id" LIMIT $1
SELECT "patient"."patient_id" AS t0_r0, "patient"."mrn" AS t0_r1, "patient"."ssn" AS t0_r2, "patient"."name" AS t0_r3, "patient"."sex" AS t0_r4, "patient"."birth_date" AS t0_r5, "patient"."phone" AS t0_r6, "patient"."address" AS t0_r7, "patient"."zip" AS t0_r8, "patient"."email" AS t0_r9, "patient"."language" AS t0_r10, "encounter"."encounter_id" AS t1_r0, "encounter"."patient_id" AS t1_r1, "encounter"."ward_id" AS t1_r2, "encounter"."kind" AS t1_r3, "encounter"."attending" AS t1_r4, "encounter"."admitted_at" AS t1_r5, "encounter"."discharged_at" AS t1_r6, "encounter"."complaint" AS t1_r7, "encounter"."charge" AS t1_r8 FROM "patient" LEFT OUTER JOIN "encounter" ON "encounter"."patient_id" = "patient"."patient_id" WHERE "patient"."patient_id" IN ($1, $2, $3)
SELECT "encounter".* FROM "encounter" INNER JOIN "patient" ON "patient"."patient_id" = "encounter"."patient_id" WHERE "patient"."sex" = $1
SELECT DISTINCT "encounter"."kind" FROM "encounter" LEFT OUTER JOIN "ward" ON "ward"."ward_id" = "encounter"."ward_id"
SELECT COUNT(*) AS count_all, "encounter"."kind" AS encounter_kind FROM "encounter" GROUP BY "encounter"."kind"
SELECT SUM("encounter"."charge") AS sum_charge, "encounter"."kind" AS encounter_kind FROM "encounter" GROUP BY "encounter"."kind" HAVING (count(*) > 1)
SELECT AVG("encounter"."charge") FROM "encounter"
SELECT "patient"."name" FROM "patient" WHERE "patient"."phone" IS NOT NULL
SELECT "patient".* FROM "patient" WHERE "patient"."mrn" = $1 LIMIT $2
SELECT "patient".* FROM "patient" WHERE "patient"."patient_id" > $1 ORDER BY "patient"."patient_id" ASC LIMIT $2
SELECT "patient".* FROM "patient" WHERE (name ILIKE '%a%')
SELECT COUNT(*) FROM "patient" LEFT OUTER JOIN "encounter" ON "encounter"."patient_id" = "patient"."patient_id" WHERE "encounter"."encounter_id" IS NULL
SELECT DISTINCT "patient"."sex" FROM "patient"
SELECT COUNT(*) FROM "patient" WHERE "patient"."birth_date" BETWEEN $1 AND $2
SELECT COUNT(*) FROM "encounter" WHERE "encounter"."patient_id" IN (SELECT "patient"."patient_id" FROM "patient" WHERE "patient"."sex" = $1)
SELECT "encounter".* FROM "encounter" ORDER BY "encounter"."admitted_at" ASC LIMIT $1
SELECT COUNT(*) FROM "patient" WHERE ("patient"."sex" = $1 OR "patient"."sex" = $2)
SELECT "patient".* FROM "patient" WHERE "patient"."sex" = $1 LIMIT $2

-- psqlODBC
select patient_id, name from clinic.patient where patient_id = $1
select * from clinic.patient where name like $1 order by patient_id

-- pgJDBC
select p.patient_id, p.name, e.kind from clinic.patient p join clinic.encounter e using (patient_id) where p.patient_id = $1
select upper(name), length(trim(trailing from name)), substring(name for 2), position('a' in name), coalesce(phone,'-'), extract(year from birth_date), extract( day from ( now()- now())) from clinic.patient
select DATE '2020-01-01' from clinic.patient p left outer join clinic.encounter e on p.patient_id=e.patient_id
select * from clinic.ward

-- pandas
SELECT clinic.encounter.encounter_id, clinic.encounter.patient_id, clinic.encounter.ward_id, clinic.encounter.kind, clinic.encounter.attending, clinic.encounter.admitted_at, clinic.encounter.discharged_at, clinic.encounter.complaint, clinic.encounter.charge FROM clinic.encounter
select * from clinic.problem where status = 'active'

-- Ibis
SELECT "t0"."kind", COUNT(*) AS "n", PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY "t0"."charge") AS "m" FROM "encounter" AS "t0" GROUP BY 1
SELECT "t4"."name", "t4"."kind" FROM (SELECT "t2"."encounter_id", "t2"."patient_id", "t2"."ward_id", "t2"."kind", "t2"."attending", "t2"."admitted_at", "t2"."discharged_at", "t2"."complaint", "t2"."charge", "t3"."mrn", "t3"."ssn", "t3"."name", "t3"."sex", "t3"."birth_date", "t3"."phone", "t3"."address", "t3"."zip", "t3"."email", "t3"."language" FROM "encounter" AS "t2" INNER JOIN "patient" AS "t3" ON "t2"."patient_id" = "t3"."patient_id") AS "t4" WHERE "t4"."sex" = 'F' LIMIT 5
SELECT * FROM (SELECT "t1"."y", SUM("t1"."charge") AS "s" FROM (SELECT "t0"."encounter_id", "t0"."patient_id", "t0"."ward_id", "t0"."kind", "t0"."attending", "t0"."admitted_at", "t0"."discharged_at", "t0"."complaint", "t0"."charge", EXTRACT(year FROM "t0"."admitted_at") AS "y" FROM "encounter" AS "t0") AS "t1" GROUP BY 1) AS "t2" ORDER BY "t2"."y" ASC
SELECT * FROM (SELECT "t0"."encounter_id", "t0"."patient_id", "t0"."ward_id", "t0"."kind", "t0"."attending", "t0"."admitted_at", "t0"."discharged_at", "t0"."complaint", "t0"."charge", ROW_NUMBER() OVER (PARTITION BY "t0"."patient_id" ORDER BY "t0"."admitted_at" ASC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) - 1 AS "r" FROM "encounter" AS "t0") AS "t1" WHERE "t1"."r" = 0

-- peewee
SELECT "t1"."patient_id", "t1"."mrn", "t1"."ssn", "t1"."name", "t1"."sex", "t1"."birth_date", "t1"."phone", "t1"."address", "t1"."zip", "t1"."email", "t1"."language" FROM "clinic"."patient" AS "t1" WHERE ("t1"."name" ILIKE '%a%') LIMIT 10 OFFSET 10
SELECT COUNT(1) FROM (SELECT 1 FROM "clinic"."patient" AS "t1") AS "_wrapped" LIMIT 1
SELECT "t1"."kind", COUNT(*) FROM "clinic"."encounter" AS "t1" GROUP BY "t1"."kind"

-- asyncpg
select patient_id,name from clinic.patient where patient_id = any($1::int8[])
select encounter_id from clinic.encounter order by 1
COPY (select patient_id from clinic.patient) TO STDOUT (FORMAT 'csv')

-- Sequelize
SELECT "patient_id", "name", "sex", "birth_date" FROM "clinic"."patient" AS "patient" LIMIT 5
SELECT "patient_id", "name", "sex", "birth_date" FROM "clinic"."patient" AS "patient" WHERE "patient"."patient_id" = 880003
SELECT count(*) AS "count" FROM "clinic"."patient" AS "patient" WHERE "patient"."sex" = 'F'
SELECT "patient_id", "name", "sex", "birth_date" FROM "clinic"."patient" AS "patient" WHERE "patient"."sex" = 'F' ORDER BY "patient"."name" DESC LIMIT 10 OFFSET 5
SELECT "patient".*, "encounters"."encounter_id" AS "encounters.encounter_id", "encounters"."kind" AS "encounters.kind", "encounters"."charge" AS "encounters.charge", "encounters"."admitted_at" AS "encounters.admitted_at", "encounters"."patient_id" AS "encounters.patient_id" FROM (SELECT "patient"."patient_id", "patient"."name", "patient"."sex", "patient"."birth_date" FROM "clinic"."patient" AS "patient" LIMIT 3) AS "patient" LEFT OUTER JOIN "clinic"."encounter" AS "encounters" ON "patient"."patient_id" = "encounters"."patient_id"
SELECT "encounter"."encounter_id", "encounter"."kind", "encounter"."charge", "encounter"."admitted_at", "encounter"."patient_id", "patient"."patient_id" AS "patient.patient_id", "patient"."name" AS "patient.name", "patient"."sex" AS "patient.sex", "patient"."birth_date" AS "patient.birth_date" FROM "clinic"."encounter" AS "encounter" INNER JOIN "clinic"."patient" AS "patient" ON "encounter"."patient_id" = "patient"."patient_id" AND "patient"."name" ILIKE '%a%' LIMIT 3
SELECT count(DISTINCT("patient"."patient_id")) AS "count" FROM "clinic"."patient" AS "patient" LEFT OUTER JOIN "clinic"."encounter" AS "encounters" ON "patient"."patient_id" = "encounters"."patient_id"
SELECT sum("charge") AS "sum" FROM "clinic"."encounter" AS "encounter"
SELECT max("admitted_at") AS "max" FROM "clinic"."encounter" AS "encounter"
SELECT "kind", COUNT("encounter_id") AS "n" FROM "clinic"."encounter" AS "encounter" GROUP BY "kind" ORDER BY n DESC
SELECT "patient_id", "name", "sex", "birth_date" FROM "clinic"."patient" AS "patient" WHERE ("patient"."name" LIKE 'A%' OR "patient"."patient_id" IN (1, 2))
SELECT "patient_id", "name", "sex", "birth_date" FROM "clinic"."patient" AS "patient" WHERE "patient"."birth_date" BETWEEN '1950-01-01' AND '1960-01-01' LIMIT 1
SELECT "patient_id", "name", "sex", "birth_date" FROM "clinic"."patient" AS "patient" WHERE lower("name") = 'x'
select * from clinic.patient where patient_id = 880003
select * from clinic.patient where patient_id = $1
SELECT "patient"."patient_id", "patient"."name", "patient"."sex", "patient"."birth_date" FROM "clinic"."patient" AS "patient" LIMIT 2
SELECT "encounter_id", "kind", "charge", "admitted_at", "patient_id" FROM "clinic"."encounter" AS "encounter" WHERE "encounter"."patient_id" IN ('880003', '880002')

-- TypeORM
SELECT "Patient"."patient_id" AS "Patient_patient_id", "Patient"."name" AS "Patient_name", "Patient"."sex" AS "Patient_sex" FROM "clinic"."patient" "Patient" LIMIT 5
SELECT "Patient"."patient_id" AS "Patient_patient_id", "Patient"."name" AS "Patient_name", "Patient"."sex" AS "Patient_sex" FROM "clinic"."patient" "Patient" WHERE (("Patient"."patient_id" = $1)) LIMIT 1
SELECT "Patient"."patient_id" AS "Patient_patient_id", "Patient"."name" AS "Patient_name", "Patient"."sex" AS "Patient_sex" FROM "clinic"."patient" "Patient" WHERE (("Patient"."name" ILIKE $1)) ORDER BY "Patient"."name" ASC LIMIT 10 OFFSET 5
SELECT COUNT(1) AS "cnt" FROM "clinic"."patient" "Patient" WHERE (("Patient"."name" ILIKE $1))
SELECT DISTINCT "distinctAlias"."Patient_patient_id" AS "ids_Patient_patient_id" FROM (SELECT "Patient"."patient_id" AS "Patient_patient_id", "Patient"."name" AS "Patient_name", "Patient"."sex" AS "Patient_sex", "Patient__Patient_encounters"."encounter_id" AS "Patient__Patient_encounters_encounter_id", "Patient__Patient_encounters"."kind" AS "Patient__Patient_encounters_kind", "Patient__Patient_encounters"."charge" AS "Patient__Patient_encounters_charge", "Patient__Patient_encounters"."admitted_at" AS "Patient__Patient_encounters_admitted_at", "Patient__Patient_encounters"."patient_id" AS "Patient__Patient_encounters_patient_id" FROM "clinic"."patient" "Patient" LEFT JOIN "clinic"."encounter" "Patient__Patient_encounters" ON "Patient__Patient_encounters"."patient_id"="Patient"."patient_id") "distinctAlias" ORDER BY "Patient_patient_id" ASC LIMIT 3
SELECT "Patient"."patient_id" AS "Patient_patient_id", "Patient"."name" AS "Patient_name", "Patient"."sex" AS "Patient_sex", "Patient__Patient_encounters"."encounter_id" AS "Patient__Patient_encounters_encounter_id", "Patient__Patient_encounters"."kind" AS "Patient__Patient_encounters_kind", "Patient__Patient_encounters"."charge" AS "Patient__Patient_encounters_charge", "Patient__Patient_encounters"."admitted_at" AS "Patient__Patient_encounters_admitted_at", "Patient__Patient_encounters"."patient_id" AS "Patient__Patient_encounters_patient_id" FROM "clinic"."patient" "Patient" LEFT JOIN "clinic"."encounter" "Patient__Patient_encounters" ON "Patient__Patient_encounters"."patient_id"="Patient"."patient_id" WHERE "Patient"."patient_id" IN ($1, $2, $3)
SELECT DISTINCT "distinctAlias"."Encounter_encounter_id" AS "ids_Encounter_encounter_id" FROM (SELECT "Encounter"."encounter_id" AS "Encounter_encounter_id", "Encounter"."kind" AS "Encounter_kind", "Encounter"."charge" AS "Encounter_charge", "Encounter"."admitted_at" AS "Encounter_admitted_at", "Encounter"."patient_id" AS "Encounter_patient_id", "Encounter__Encounter_patient"."patient_id" AS "Encounter__Encounter_patient_patient_id", "Encounter__Encounter_patient"."name" AS "Encounter__Encounter_patient_name", "Encounter__Encounter_patient"."sex" AS "Encounter__Encounter_patient_sex" FROM "clinic"."encounter" "Encounter" LEFT JOIN "clinic"."patient" "Encounter__Encounter_patient" ON "Encounter__Encounter_patient"."patient_id"="Encounter"."patient_id" WHERE (((("Encounter__Encounter_patient"."sex" = $1))))) "distinctAlias" ORDER BY "Encounter_encounter_id" ASC LIMIT 5
SELECT "Encounter"."encounter_id" AS "Encounter_encounter_id", "Encounter"."kind" AS "Encounter_kind", "Encounter"."charge" AS "Encounter_charge", "Encounter"."admitted_at" AS "Encounter_admitted_at", "Encounter"."patient_id" AS "Encounter_patient_id", "Encounter__Encounter_patient"."patient_id" AS "Encounter__Encounter_patient_patient_id", "Encounter__Encounter_patient"."name" AS "Encounter__Encounter_patient_name", "Encounter__Encounter_patient"."sex" AS "Encounter__Encounter_patient_sex" FROM "clinic"."encounter" "Encounter" LEFT JOIN "clinic"."patient" "Encounter__Encounter_patient" ON "Encounter__Encounter_patient"."patient_id"="Encounter"."patient_id" WHERE ( (((("Encounter__Encounter_patient"."sex" = $1)))) ) AND ( "Encounter"."encounter_id" IN ($2, $3, $4, $5, $6) )
SELECT COUNT(1) AS "cnt" FROM "clinic"."patient" "Patient"
SELECT 1 AS "row_exists" FROM (SELECT 1 AS dummy_column) "dummy_table" WHERE EXISTS (SELECT 1 FROM "clinic"."patient" "Patient" WHERE (("Patient"."sex" = $1))) LIMIT 1
SELECT "p"."patient_id" AS "p_patient_id", "p"."name" AS "p_name", "p"."sex" AS "p_sex", "e"."encounter_id" AS "e_encounter_id", "e"."kind" AS "e_kind", "e"."charge" AS "e_charge", "e"."admitted_at" AS "e_admitted_at", "e"."patient_id" AS "e_patient_id" FROM "clinic"."patient" "p" LEFT JOIN "clinic"."encounter" "e" ON "e"."patient_id"="p"."patient_id" AND ("e"."kind" = $1) WHERE "p"."patient_id" IN ($2, $3) ORDER BY "p"."name" ASC
SELECT "e"."kind" AS "k", COUNT(*) AS "n" FROM "clinic"."encounter" "e" GROUP BY "e"."kind"
SELECT SUM("Encounter"."charge") AS "SUM" FROM "clinic"."encounter" "Encounter"
SELECT "Patient"."patient_id" AS "Patient_patient_id", "Patient"."name" AS "Patient_name", "Patient"."sex" AS "Patient_sex" FROM "clinic"."patient" "Patient" WHERE (("Patient"."patient_id" IN ($1, $2)) AND (NOT("Patient"."name" IS NULL)))
SELECT COUNT(1) AS "cnt" FROM "clinic"."patient" "p" WHERE "p"."patient_id" IN (SELECT "e"."patient_id" FROM "clinic"."encounter" "e" WHERE "e"."kind"='inpatient')

-- Knex
select * from "patient" limit $1
select * from "patient" where "patient_id" = $1 limit $2
select * from "patient" where "patient_id" in ($1, $2)
select count(*) as "n" from "patient"
select "p"."name", "e"."kind" from "patient" as "p" inner join "encounter" as "e" on "e"."patient_id" = "p"."patient_id" order by "e"."admitted_at" desc limit $1 offset $2
select "kind", sum("charge") as "s" from "encounter" group by "kind" having sum(charge) > $1
select * from "patient" where exists (select * from "encounter" where encounter.patient_id = patient.patient_id)
with "x" as (select "patient_id", max("admitted_at") as "m" from "encounter" group by "patient_id") select * from "x" limit $1
select *, row_number() over (partition by patient_id order by admitted_at) as rn from "encounter" limit $1
select count(distinct "patient_id") from "encounter"
select "name" from "patient" union select "name" from "ward"
select * from "patient" where "patient_id" not in (select "patient_id" from "encounter" where "patient_id" is not null)

-- Kysely
select "patient_id", "name", (select coalesce(json_agg(agg), '[]') from (select "kind", "charge" from "clinic"."encounter" where "clinic"."encounter"."patient_id" = "clinic"."patient"."patient_id" order by "admitted_at") as agg) as "es" from "clinic"."patient" limit $1
select "kind", (select to_json(obj) from (select "name" from "clinic"."patient" where "clinic"."patient"."patient_id" = "clinic"."encounter"."patient_id") as obj) as "p" from "clinic"."encounter" limit $1
select "kind", count(*) as "n" from "clinic"."encounter" group by "kind"

-- Drizzle
select "patient_id", "name", "sex" from "clinic"."patient" limit $1
select "patient"."patient_id", "patient"."name", "patient"."sex", "patient_encounters"."data" as "encounters" from "clinic"."patient" "patient" left join lateral (select coalesce(json_agg(json_build_array("patient_encounters"."encounter_id", "patient_encounters"."patient_id", "patient_encounters"."kind", "patient_encounters"."charge", "patient_encounters"."admitted_at") order by "patient_encounters"."admitted_at" desc), '[]'::json) as "data" from (select * from "clinic"."encounter" "patient_encounters" where "patient_encounters"."patient_id" = "patient"."patient_id" order by "patient_encounters"."admitted_at" desc limit $1) "patient_encounters") "patient_encounters" on true limit $2
select "encounter"."encounter_id", "encounter"."patient_id", "encounter"."kind", "encounter"."charge", "encounter"."admitted_at", "encounter_patient"."data" as "patient" from "clinic"."encounter" "encounter" left join lateral (select json_build_array("encounter_patient"."name") as "data" from (select * from "clinic"."patient" "encounter_patient" where "encounter_patient"."patient_id" = "encounter"."patient_id" limit $1) "encounter_patient") "encounter_patient" on true where "encounter"."kind" = $2 limit $3
select "kind", count(*), avg("charge") from "clinic"."encounter" group by "clinic"."encounter"."kind"
select "clinic"."patient"."patient_id", "clinic"."patient"."name", "clinic"."patient"."sex", "clinic"."encounter"."encounter_id", "clinic"."encounter"."patient_id", "clinic"."encounter"."kind", "clinic"."encounter"."charge", "clinic"."encounter"."admitted_at" from "clinic"."patient" left join "clinic"."encounter" on "clinic"."encounter"."patient_id" = "clinic"."patient"."patient_id" where ("clinic"."patient"."name" ilike $1 and "clinic"."patient"."patient_id" in ($2, $3))
select "patient_id", "name", "sex" from "clinic"."patient" where exists (select 1 from "clinic"."encounter" where "clinic"."encounter"."patient_id" = "clinic"."patient"."patient_id")
select distinct "sex" from "clinic"."patient"
select count(*) as count from "clinic"."patient"

-- Entity Framework Core
SELECT p.patient_id, p.name, p.sex FROM clinic.patient AS p WHERE p.patient_id = $1 LIMIT 2
SELECT p.patient_id, p.name FROM clinic.patient AS p WHERE p.name = $1 OR p.name IS NULL ORDER BY p.name LIMIT $2 OFFSET $3
SELECT count(*)::int FROM clinic.patient AS p WHERE p.sex = 'F'
SELECT EXISTS (SELECT 1 FROM clinic.encounter AS e WHERE e.patient_id = $1)
SELECT t.patient_id, t.name, e.encounter_id, e.kind FROM (SELECT p.patient_id, p.name FROM clinic.patient AS p ORDER BY p.name LIMIT $1 OFFSET $2) AS t LEFT JOIN clinic.encounter AS e ON t.patient_id = e.patient_id ORDER BY t.name, t.patient_id
SELECT e.kind, count(*)::int AS "Count", COALESCE(sum(e.charge), 0.0) AS "Total" FROM clinic.encounter AS e GROUP BY e.kind
SELECT p.patient_id, p.name, (SELECT e.kind FROM clinic.encounter AS e WHERE p.patient_id = e.patient_id ORDER BY e.admitted_at DESC LIMIT 1) AS "Last", (SELECT count(*)::int FROM clinic.encounter AS e0 WHERE p.patient_id = e0.patient_id) AS "Visits" FROM clinic.patient AS p
SELECT p.patient_id, t0.encounter_id, t0.kind FROM clinic.patient AS p LEFT JOIN (SELECT t.encounter_id, t.kind, t.patient_id FROM (SELECT e.encounter_id, e.kind, e.patient_id, ROW_NUMBER() OVER(PARTITION BY e.patient_id ORDER BY e.admitted_at DESC) AS row FROM clinic.encounter AS e) AS t WHERE t.row <= 1) AS t0 ON p.patient_id = t0.patient_id
SELECT p.name FROM clinic.patient AS p WHERE p.patient_id = ANY ($1) AND p.name LIKE $2 ESCAPE ''
SELECT p.name FROM clinic.patient AS p WHERE strpos(lower(p.name), $1) > 0 OR $1 = ''
SELECT p.name FROM clinic.patient AS p WHERE p.name LIKE 'An%' AND date_part('year', p.birth_date)::int > 1950
SELECT e.encounter_id FROM clinic.encounter AS e WHERE date_trunc('day', e.admitted_at AT TIME ZONE 'UTC') = $1
SELECT DISTINCT p.sex, p.language FROM clinic.patient AS p
SELECT p.name AS "Name", 'patient' AS "Kind" FROM clinic.patient AS p UNION ALL SELECT e.attending, 'doctor' FROM clinic.encounter AS e

-- Hibernate
select p1_0.patient_id,p1_0.birth_date,p1_0.mrn,p1_0.name,p1_0.sex from clinic.patient p1_0 where p1_0.patient_id=$1
select p1_0.patient_id,p1_0.name from clinic.patient p1_0 order by p1_0.name offset $1 rows fetch first $2 rows only
select e1_0.encounter_id,e1_0.kind,p1_0.patient_id,p1_0.name,w1_0.ward_id,w1_0.name from clinic.encounter e1_0 left join clinic.patient p1_0 on p1_0.patient_id=e1_0.patient_id left join clinic.ward w1_0 on w1_0.ward_id=e1_0.ward_id where e1_0.encounter_id=$1
select e1_0.patient_id,e1_0.encounter_id,e1_0.kind from clinic.encounter e1_0 where e1_0.patient_id in ($1,$2,$3,$4,$5)
select count(p1_0.patient_id) from clinic.patient p1_0 where p1_0.name like $1 escape ''
select p1_0.name from clinic.patient p1_0 where exists(select 1 from clinic.encounter e1_0 where p1_0.patient_id=e1_0.patient_id and e1_0.kind=$1)
select distinct p1_0.patient_id,p1_0.name,e1_0.patient_id,e1_0.encounter_id from clinic.patient p1_0 join clinic.encounter e1_0 on p1_0.patient_id=e1_0.patient_id where lower(p1_0.name)=lower($1)
select e1_0.kind,avg(e1_0.charge),count(distinct e1_0.patient_id) from clinic.encounter e1_0 group by e1_0.kind having count(*)>$1 order by 2 desc nulls last
select p1_0.patient_id from clinic.patient p1_0 where p1_0.patient_id in (select e1_0.patient_id from clinic.encounter e1_0 where e1_0.admitted_at>=$1 and e1_0.admitted_at<$2)
select case when (count(*)>0) then true else false end from clinic.patient p1_0 where p1_0.mrn=$1
select generatedAlias0.name as col_0_0_ from clinic.patient generatedAlias0 where 1=1 and (generatedAlias0.name in ($1 , $2)) order by generatedAlias0.name asc limit $3
select p.name from clinic.patient p where (p.birth_date between $1 and $2) and (p.phone is not null) and cast(p.patient_id as varchar) like $3

-- Prisma
SELECT "clinic"."patient"."patient_id", "clinic"."patient"."name" FROM "clinic"."patient" WHERE ("clinic"."patient"."patient_id" = $1 AND 1=1) LIMIT $2 OFFSET $3
SELECT "clinic"."patient"."patient_id", "clinic"."patient"."name" FROM "clinic"."patient" WHERE "clinic"."patient"."name"::text ILIKE $1 ORDER BY "clinic"."patient"."name" ASC LIMIT $2 OFFSET $3
SELECT "clinic"."encounter"."encounter_id", "clinic"."encounter"."patient_id" FROM "clinic"."encounter" WHERE "clinic"."encounter"."patient_id" IN ($1,$2,$3) OFFSET $4
SELECT COUNT(*) FROM (SELECT "clinic"."patient"."patient_id" FROM "clinic"."patient" WHERE 1=1 OFFSET $1) AS "sub"
SELECT COUNT(*), "clinic"."encounter"."kind" FROM "clinic"."encounter" WHERE 1=1 GROUP BY "clinic"."encounter"."kind" HAVING COUNT("clinic"."encounter"."kind") > $1 ORDER BY COUNT(*) DESC OFFSET $2
SELECT "t0"."patient_id", "t0"."name", "patient_encounters"."__prisma_data__" AS "encounters" FROM "clinic"."patient" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t3"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('encounter_id', "t2"."encounter_id", 'kind', "t2"."kind") AS "__prisma_data__" FROM (SELECT "t1".* FROM "clinic"."encounter" AS "t1" WHERE "t0"."patient_id" = "t1"."patient_id") AS "t2") AS "t3") AS "t4") AS "patient_encounters" ON TRUE LIMIT $1
SELECT "clinic"."patient"."patient_id" FROM "clinic"."patient" WHERE ("clinic"."patient"."patient_id") IN (SELECT "t1"."patient_id" FROM "clinic"."encounter" AS "t1" WHERE ("t1"."kind" = $1 AND "t1"."patient_id" IS NOT NULL)) OFFSET $2
SELECT "clinic"."patient"."patient_id" FROM "clinic"."patient" WHERE ("clinic"."patient"."patient_id") NOT IN (SELECT "t1"."patient_id" FROM "clinic"."encounter" AS "t1" WHERE (1=1 AND "t1"."patient_id" IS NOT NULL)) OFFSET $1
SELECT SUM("charge"), AVG("charge"), MIN("charge"), MAX("charge") FROM (SELECT "clinic"."encounter"."charge" FROM "clinic"."encounter" WHERE 1=1 OFFSET $1) AS "sub"
-- PostgREST
WITH pgrst_source AS (SELECT "clinic"."patient"."patient_id", "clinic"."patient"."name" FROM "clinic"."patient" LIMIT $1 OFFSET $2) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status FROM (SELECT * FROM pgrst_source) _postgrest_t
WITH pgrst_source AS (SELECT "clinic"."patient"."name", COALESCE("patient_encounter_1"."patient_encounter_1", '[]') AS "encounter" FROM "clinic"."patient" LEFT JOIN LATERAL (SELECT json_agg("patient_encounter_1")::jsonb AS "patient_encounter_1" FROM (SELECT "encounter_1"."kind" FROM "clinic"."encounter" AS "encounter_1" WHERE "encounter_1"."patient_id" = "clinic"."patient"."patient_id") AS "patient_encounter_1") AS "patient_encounter_1" ON TRUE) SELECT coalesce(json_agg(t), '[]') FROM (SELECT * FROM pgrst_source) t
-- Hasura
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."patient_id" AS "id", "_root.ar.encounters"."encounters" AS "encounters") AS "_e")) AS "root" FROM (SELECT * FROM "clinic"."patient" WHERE ('true') LIMIT 10) AS "_root.base" LEFT OUTER JOIN LATERAL (SELECT coalesce(json_agg("encounters"), '[]') AS "encounters" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.ar.encounters.base"."kind" AS "kind") AS "_e")) AS "encounters" FROM (SELECT * FROM "clinic"."encounter" WHERE (("_root.base"."patient_id") = ("patient_id"))) AS "_root.ar.encounters.base") AS "_root.ar.encounters") AS "_root.ar.encounters" ON ('true')) AS "_root"
