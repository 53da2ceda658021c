-- Items of visits of patients, members of groups, parts of stays that are partitioned by their patient.
-- nurse_amy has the patients 101, 103 and 104; nurse_bob, who sees the others masked, 101 and 104.
CREATE SCHEMA glass;
CREATE TABLE visit (vid int4 PRIMARY KEY, pid int4 NOT NULL, note text);
CREATE TABLE item (iid int4 PRIMARY KEY, vid int4 REFERENCES visit, txt text, n int4);
CREATE TABLE loose (lid int4 PRIMARY KEY, vid int4, txt text);
CREATE TABLE address (aid int4 PRIMARY KEY, txt text);
CREATE TABLE lives (pid int4, aid int4);
CREATE TABLE stay (sid int4, pid int4, PRIMARY KEY (sid, pid)) PARTITION BY LIST (pid);
CREATE TABLE stay_own PARTITION OF stay FOR VALUES IN (101, 103, 104);
CREATE TABLE stay_other PARTITION OF stay DEFAULT;
CREATE TABLE part (part_id int4 PRIMARY KEY, sid int4, txt text);
CREATE TABLE member (member_id int4 PRIMARY KEY, txt text);
CREATE TABLE joins (member_id int4, pid int4);
CREATE FUNCTION fill() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM item; DELETE FROM visit; DELETE FROM loose; DELETE FROM address; DELETE FROM lives; DELETE FROM stay; DELETE FROM part; DELETE FROM member; DELETE FROM joins;
    INSERT INTO visit VALUES (11, 101, 'a'), (12, 102, 'CANARY'), (13, 103, 'c');
    INSERT INTO item VALUES (111, 11, 'own', 1), (112, 12, 'CANARY', 1), (113, 13, 'third', 1);
    INSERT INTO visit VALUES (14, 104, 'd'), (15, 102, 'e');
    INSERT INTO loose VALUES (1, 14, 'own'), (2, 12, 'CANARY');
    INSERT INTO address VALUES (1, 'own'), (2, 'CANARY');
    INSERT INTO lives VALUES (101, 1), (102, 1), (102, 2);
    INSERT INTO stay VALUES (1, 101), (2, 102);
    INSERT INTO part VALUES (1, 1, 'own'), (2, 2, 'CANARY');
    INSERT INTO member VALUES (1, 'own'), (2, 'CANARY');
    INSERT INTO joins VALUES (1, 101), (2, 102);
END $$;
CREATE TABLE glass.assigned (user_name text NOT NULL, patient_id int4 NOT NULL, PRIMARY KEY (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('nurse_amy', 101), ('nurse_amy', 103), ('nurse_amy', 104), ('nurse_bob', 101), ('nurse_bob', 104);
CREATE FUNCTION glass.verifier(login text) RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a
        WHERE a.rolname = login AND a.rolcanlogin AND NOT a.rolsuper; END;
GRANT USAGE ON SCHEMA glass TO pgglass, nurse;
GRANT SELECT ON glass.assigned TO pgglass, nurse;
GRANT EXECUTE ON FUNCTION glass.verifier(text) TO pgglass;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO nurse, dba;
