-- MIMIC-IV, modules hosp and icu, abridged: every table, its keys, and the columns that discovery looks at, as its
-- documentation describes them (https://mimic.mit.edu/docs/iv/). For the tests of `pgglass discover`.

CREATE SCHEMA mimiciv_hosp;
CREATE SCHEMA mimiciv_icu;
SET search_path = mimiciv_hosp;

CREATE TABLE patients (subject_id int PRIMARY KEY, gender char(1) NOT NULL, anchor_age smallint,
    anchor_year smallint NOT NULL, anchor_year_group varchar(20) NOT NULL, dod date);
CREATE TABLE admissions (subject_id int NOT NULL REFERENCES patients, hadm_id int PRIMARY KEY,
    admittime timestamp NOT NULL, dischtime timestamp, deathtime timestamp, admission_type varchar(40) NOT NULL,
    admit_provider_id varchar(10), insurance varchar(255), language varchar(25), marital_status varchar(30),
    race varchar(80), hospital_expire_flag smallint);
CREATE TABLE d_hcpcs (code char(5) PRIMARY KEY, category smallint, long_description text, short_description varchar(180));
CREATE TABLE d_icd_diagnoses (icd_code char(7), icd_version smallint, long_title varchar(255),
    PRIMARY KEY (icd_code, icd_version));
CREATE TABLE d_icd_procedures (icd_code char(7), icd_version smallint, long_title varchar(222),
    PRIMARY KEY (icd_code, icd_version));
CREATE TABLE d_labitems (itemid int PRIMARY KEY, label varchar(50), fluid varchar(50), category varchar(50));
CREATE TABLE diagnoses_icd (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    seq_num int NOT NULL, icd_code char(7), icd_version smallint);
CREATE TABLE drgcodes (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    drg_type varchar(4), drg_code varchar(10) NOT NULL, description varchar(195));
CREATE TABLE emar (subject_id int NOT NULL REFERENCES patients, hadm_id int REFERENCES admissions,
    emar_id varchar(25) PRIMARY KEY, emar_seq int NOT NULL, poe_id varchar(25) NOT NULL, pharmacy_id int,
    enter_provider_id varchar(10), charttime timestamp NOT NULL, medication text, event_txt varchar(100));
CREATE TABLE emar_detail (subject_id int NOT NULL REFERENCES patients, emar_id varchar(25) NOT NULL REFERENCES emar,
    emar_seq int NOT NULL, administration_type varchar(50), pharmacy_id int, dose_given varchar(255));
CREATE TABLE hcpcsevents (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    chartdate date, hcpcs_cd char(5) NOT NULL REFERENCES d_hcpcs, seq_num int NOT NULL);
CREATE TABLE labevents (labevent_id int PRIMARY KEY, subject_id int NOT NULL REFERENCES patients, hadm_id int,
    specimen_id int NOT NULL, itemid int NOT NULL REFERENCES d_labitems, order_provider_id varchar(10),
    charttime timestamp, value varchar(200), valuenum double precision, comments text);
CREATE TABLE microbiologyevents (microevent_id int PRIMARY KEY, subject_id int NOT NULL REFERENCES patients,
    hadm_id int REFERENCES admissions, micro_specimen_id int NOT NULL, chartdate timestamp NOT NULL,
    test_name varchar(100), org_name varchar(100), comments text);
CREATE TABLE omr (subject_id int NOT NULL, chartdate date, seq_num int NOT NULL, result_name varchar(100) NOT NULL,
    result_value text NOT NULL);
CREATE TABLE pharmacy (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    pharmacy_id int PRIMARY KEY, poe_id varchar(25), starttime timestamp, medication text, status varchar(50));
CREATE TABLE poe (poe_id varchar(25) PRIMARY KEY, poe_seq int NOT NULL,
    subject_id int NOT NULL REFERENCES patients, hadm_id int REFERENCES admissions, ordertime timestamp NOT NULL,
    order_type varchar(25) NOT NULL, discontinue_of_poe_id varchar(25));
CREATE TABLE poe_detail (poe_id varchar(25) NOT NULL REFERENCES poe, poe_seq int NOT NULL,
    subject_id int NOT NULL REFERENCES patients, field_name varchar(255) NOT NULL, field_value text,
    PRIMARY KEY (poe_id, field_name));
CREATE TABLE prescriptions (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    pharmacy_id int NOT NULL, poe_id varchar(25), starttime timestamp, drug_type varchar(20) NOT NULL,
    drug varchar(255) NOT NULL, ndc varchar(25), PRIMARY KEY (pharmacy_id, drug_type, drug));
CREATE TABLE procedures_icd (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    seq_num int NOT NULL, chartdate date NOT NULL, icd_code char(7), icd_version smallint);
CREATE TABLE provider (provider_id varchar(10) NOT NULL);
CREATE TABLE services (subject_id int NOT NULL REFERENCES patients, hadm_id int NOT NULL REFERENCES admissions,
    transfertime timestamp NOT NULL, prev_service varchar(10), curr_service varchar(10));
CREATE TABLE transfers (subject_id int NOT NULL REFERENCES patients, hadm_id int, transfer_id int PRIMARY KEY,
    eventtype varchar(10), careunit varchar(255), intime timestamp, outtime timestamp);

SET search_path = mimiciv_icu;

CREATE TABLE caregiver (caregiver_id int PRIMARY KEY);
CREATE TABLE d_items (itemid int PRIMARY KEY, label varchar(100) NOT NULL, abbreviation varchar(50) NOT NULL,
    linksto varchar(30) NOT NULL, category varchar(50) NOT NULL);
CREATE TABLE icustays (subject_id int NOT NULL REFERENCES mimiciv_hosp.patients,
    hadm_id int NOT NULL REFERENCES mimiciv_hosp.admissions, stay_id int PRIMARY KEY, first_careunit varchar(255),
    intime timestamp, outtime timestamp, los double precision);
CREATE TABLE chartevents (subject_id int NOT NULL REFERENCES mimiciv_hosp.patients,
    hadm_id int NOT NULL REFERENCES mimiciv_hosp.admissions, stay_id int NOT NULL REFERENCES icustays,
    caregiver_id int, charttime timestamp NOT NULL, itemid int NOT NULL REFERENCES d_items, value varchar(200),
    valuenum double precision);
CREATE TABLE datetimeevents (LIKE chartevents);
ALTER TABLE datetimeevents ADD FOREIGN KEY (subject_id) REFERENCES mimiciv_hosp.patients;
CREATE TABLE ingredientevents (LIKE chartevents);
CREATE TABLE inputevents (LIKE chartevents);
CREATE TABLE outputevents (LIKE chartevents);
CREATE TABLE procedureevents (LIKE chartevents);

RESET search_path;
