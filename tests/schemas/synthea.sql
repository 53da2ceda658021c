-- The CSV export of Synthea loaded as it is: keys named "Id", columns named as the table they lead to, no foreign
-- key (https://github.com/synthetichealth/synthea/wiki/CSV-File-Data-Dictionary), abridged. For the tests of
-- `pgglass discover`.

CREATE SCHEMA synthea;
SET search_path = synthea;

CREATE TABLE patients ("Id" uuid PRIMARY KEY, "BIRTHDATE" date, "DEATHDATE" date, "SSN" text, "DRIVERS" text,
    "PASSPORT" text, "FIRST" text, "LAST" text, "MAIDEN" text, "MARITAL" text, "RACE" text, "GENDER" text,
    "BIRTHPLACE" text, "ADDRESS" text, "CITY" text, "STATE" text, "COUNTY" text, "ZIP" text, "LAT" numeric,
    "LON" numeric, "HEALTHCARE_EXPENSES" numeric);
CREATE TABLE organizations ("Id" uuid PRIMARY KEY, "NAME" text, "ADDRESS" text, "CITY" text, "STATE" text, "ZIP" text,
    "PHONE" text, "REVENUE" numeric);
CREATE TABLE providers ("Id" uuid PRIMARY KEY, "ORGANIZATION" uuid, "NAME" text, "GENDER" text, "SPECIALITY" text,
    "ADDRESS" text, "CITY" text, "STATE" text, "ZIP" text);
CREATE TABLE payers ("Id" uuid PRIMARY KEY, "NAME" text, "ADDRESS" text, "CITY" text, "ZIP" text, "PHONE" text);
CREATE TABLE encounters ("Id" uuid PRIMARY KEY, "START" timestamptz, "STOP" timestamptz, "PATIENT" uuid,
    "ORGANIZATION" uuid, "PROVIDER" uuid, "PAYER" uuid, "ENCOUNTERCLASS" text, "CODE" text, "DESCRIPTION" text,
    "TOTAL_CLAIM_COST" numeric, "REASONCODE" text);
CREATE TABLE allergies ("START" date, "STOP" date, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text, "DESCRIPTION" text);
CREATE TABLE careplans ("Id" uuid, "START" date, "STOP" date, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text);
CREATE TABLE claims ("Id" uuid PRIMARY KEY, "PATIENTID" uuid, "PROVIDERID" uuid, "PRIMARYPATIENTINSURANCEID" uuid,
    "DEPARTMENTID" int, "PATIENTDEPARTMENTID" int, "DIAGNOSIS1" text, "APPOINTMENTID" uuid, "STATUS1" text);
CREATE TABLE claims_transactions ("ID" uuid PRIMARY KEY, "CLAIMID" uuid, "CHARGEID" int, "PATIENTID" uuid, "TYPE" text,
    "AMOUNT" numeric, "PROVIDERID" uuid, "APPOINTMENTID" uuid, "NOTES" text);
CREATE TABLE conditions ("START" date, "STOP" date, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text, "DESCRIPTION" text);
CREATE TABLE devices ("START" timestamptz, "STOP" timestamptz, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text,
    "UDI" text);
CREATE TABLE imaging_studies ("Id" uuid, "DATE" timestamptz, "PATIENT" uuid, "ENCOUNTER" uuid, "SERIES_UID" text,
    "MODALITY_CODE" text);
CREATE TABLE immunizations ("DATE" timestamptz, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text, "DESCRIPTION" text);
CREATE TABLE medications ("START" timestamptz, "STOP" timestamptz, "PATIENT" uuid, "PAYER" uuid, "ENCOUNTER" uuid,
    "CODE" text, "DESCRIPTION" text, "BASE_COST" numeric);
CREATE TABLE observations ("DATE" timestamptz, "PATIENT" uuid, "ENCOUNTER" uuid, "CATEGORY" text, "CODE" text,
    "VALUE" text, "UNITS" text, "TYPE" text);
CREATE TABLE payer_transitions ("PATIENT" uuid, "MEMBERID" uuid, "START_DATE" timestamptz, "END_DATE" timestamptz,
    "PAYER" uuid, "OWNERSHIP" text);
CREATE TABLE procedures ("START" timestamptz, "STOP" timestamptz, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text,
    "BASE_COST" numeric);
CREATE TABLE supplies ("DATE" date, "PATIENT" uuid, "ENCOUNTER" uuid, "CODE" text, "QUANTITY" numeric);

RESET search_path;
