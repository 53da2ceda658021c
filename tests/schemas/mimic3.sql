-- MIMIC-III, abridged: tables whose rows have a number (`row_id`) beside the key that foreign keys lead to, tables derived
-- from them that have no keys at all, as its documentation describes them (https://mimic.mit.edu/docs/iii/), and a table of
-- assignments of the site. For the tests of `pgglass discover`.

CREATE SCHEMA mimiciii;
CREATE SCHEMA mimiciii_derived;
CREATE SCHEMA glass;
SET search_path = mimiciii;

CREATE TABLE patients (row_id int PRIMARY KEY, subject_id int NOT NULL UNIQUE, gender varchar(5) NOT NULL,
    dob timestamp NOT NULL, dod timestamp, expire_flag int NOT NULL);
CREATE TABLE admissions (row_id int PRIMARY KEY, subject_id int NOT NULL REFERENCES patients (subject_id),
    hadm_id int NOT NULL UNIQUE, admittime timestamp NOT NULL, dischtime timestamp NOT NULL, diagnosis varchar(255));
CREATE TABLE icustays (row_id int PRIMARY KEY, subject_id int NOT NULL REFERENCES patients (subject_id),
    hadm_id int NOT NULL REFERENCES admissions (hadm_id), icustay_id int NOT NULL UNIQUE, intime timestamp NOT NULL);
CREATE TABLE d_items (row_id int PRIMARY KEY, itemid int NOT NULL UNIQUE, label varchar(200));
CREATE TABLE chartevents (row_id int NOT NULL, subject_id int NOT NULL REFERENCES patients (subject_id), hadm_id int,
    icustay_id int REFERENCES icustays (icustay_id), itemid int REFERENCES d_items (itemid), charttime timestamp,
    value varchar(255), valuenum double precision) PARTITION BY RANGE (itemid);
CREATE TABLE chartevents_1 PARTITION OF chartevents FOR VALUES FROM (0) TO (1000);

SET search_path = mimiciii_derived;
CREATE TABLE icustay_hours (icustay_id int, hr int, endtime timestamp);
CREATE TABLE code_status (subject_id int, hadm_id int, icustay_id int, fullcode int);
CREATE TABLE charlson (hadm_id int, score int);

CREATE TABLE glass.assigned (user_name text NOT NULL, patient_id int NOT NULL, PRIMARY KEY (user_name, patient_id));
