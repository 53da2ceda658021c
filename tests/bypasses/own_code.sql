-- Code that runs without being named, in one schema: each of these functions tells of patient 2. Then what honest
-- databases have of the same kinds, in another.
CREATE SCHEMA own;
CREATE FUNCTION own.peek(text) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS 'BEGIN RETURN (SELECT name FROM public.patients WHERE mrn = 2); END';
CREATE FUNCTION own.there(text) RETURNS bool LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT EXISTS (SELECT FROM public.patients WHERE name = $1)';
CREATE FUNCTION own.fixed(int4) RETURNS text LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER
    AS 'BEGIN RETURN own.peek(''x''); END';

CREATE TYPE own.seen AS (v text);
CREATE FUNCTION own.see(text) RETURNS own.seen LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC SELECT ROW((SELECT name FROM public.patients WHERE mrn = 2))::own.seen; END;
CREATE CAST (text AS own.seen) WITH FUNCTION own.see(text) AS ASSIGNMENT;
CREATE TYPE own.mood AS ENUM ('low', 'high');
CREATE FUNCTION own.said(own.mood) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS 'BEGIN RETURN (SELECT name FROM public.patients WHERE mrn = 2); END';
CREATE CAST (own.mood AS text) WITH FUNCTION own.said(own.mood) AS IMPLICIT;
CREATE TYPE own.sign AS ENUM ('yes', 'no');
CREATE FUNCTION own.read_out(own.sign) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS 'BEGIN RETURN (SELECT name FROM public.patients WHERE mrn = 2); END';
CREATE CAST (own.sign AS text) WITH FUNCTION own.read_out(own.sign);
CREATE FUNCTION own.as_json(own.sign) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT json_build_array(name) FROM public.patients WHERE mrn = 2';
CREATE CAST (own.sign AS json) WITH FUNCTION own.as_json(own.sign);
CREATE TABLE own.signs (s own.sign);
INSERT INTO own.signs VALUES ('yes');
CREATE TYPE own.pair AS (a own.seen, b int4);
CREATE TABLE own.seens (v own.seen, w int4);
INSERT INTO own.seens VALUES ('(x)', 1);

CREATE DOMAIN own.known AS text CHECK (VALUE IS NULL OR own.there(VALUE));
CREATE DOMAIN public.known_too AS own.known;
CREATE TYPE own.row AS (k own.known, b int4);
CREATE TABLE own.coded (id int4, k own.known);
INSERT INTO own.coded VALUES (1, 'Ann');
CREATE TABLE own.lists (id int4, ks own.known[], r own.row);
INSERT INTO own.lists VALUES (1, '{Ann}', '(Ann,1)');
CREATE DOMAIN own.greeting AS text DEFAULT own.peek('x');
CREATE TABLE own.greeted (id int4, g own.greeting);

CREATE FUNCTION own.compared(text, text) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS 'BEGIN RETURN own.peek($1); END';
CREATE OPERATOR public.=%= (LEFTARG = text, RIGHTARG = text, FUNCTION = own.compared);
CREATE FUNCTION own.same(own.seen, text) RETURNS bool LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS 'BEGIN RETURN own.there(''CANARY-name-2''); END';
CREATE OPERATOR public.= (LEFTARG = own.seen, RIGHTARG = text, FUNCTION = own.same);

CREATE TYPE own.level AS (n int4);
CREATE FUNCTION own.level_cmp(a own.level, b own.level) RETURNS int4 LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER
    AS 'BEGIN RETURN (a.n - b.n) * CASE WHEN EXISTS (SELECT FROM public.patients WHERE mrn = 2) THEN -1 ELSE 1 END; END';
CREATE FUNCTION own.level_lt(a own.level, b own.level) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).n < ($2).n';
CREATE FUNCTION own.level_eq(a own.level, b own.level) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).n = ($2).n';
CREATE FUNCTION own.level_gt(a own.level, b own.level) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).n > ($2).n';
CREATE OPERATOR own.< (LEFTARG = own.level, RIGHTARG = own.level, FUNCTION = own.level_lt);
CREATE OPERATOR own.= (LEFTARG = own.level, RIGHTARG = own.level, FUNCTION = own.level_eq);
CREATE OPERATOR own.> (LEFTARG = own.level, RIGHTARG = own.level, FUNCTION = own.level_gt);
CREATE OPERATOR CLASS own.level_ops DEFAULT FOR TYPE own.level USING btree AS
    OPERATOR 1 own.<, OPERATOR 3 own.=, OPERATOR 5 own.>, FUNCTION 1 own.level_cmp(own.level, own.level);
CREATE TABLE own.levels (l own.level);
INSERT INTO own.levels VALUES ('(1)'), ('(2)');

CREATE TABLE own.forms (id int4, body text DEFAULT own.peek('x'));
INSERT INTO own.forms VALUES (0, 'x');
CREATE VIEW own.forms_v AS SELECT * FROM own.forms;
CREATE TABLE own.derived (id int4, g text GENERATED ALWAYS AS (own.fixed(id)) STORED);
CREATE TABLE own.checked (name text CHECK (own.there(name)));
CREATE TABLE own.parts (id int4, body text) PARTITION BY RANGE (id);
CREATE TABLE own.part_1 PARTITION OF own.parts (CHECK (own.there(body))) FOR VALUES FROM (0) TO (9);

CREATE TABLE own.moods (m own.mood CHECK ((upper(m) LIKE 'CANARY%') IS TRUE));

-- Functions that name nothing of the kind, and run others unnamed.
CREATE FUNCTION own.by_write() RETURNS text LANGUAGE sql SECURITY DEFINER
    AS 'INSERT INTO own.forms (id) VALUES (9) RETURNING body';
CREATE FUNCTION own.by_cast() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
    AS $$SELECT ('x'::text::own.seen).v$$;
CREATE FUNCTION own.by_column() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
    AS $$SELECT 'true' FROM own.seens WHERE v = 'x'::text$$;
CREATE FUNCTION own.by_domain() RETURNS bool LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS $$DECLARE x own.known := 'Ann'; BEGIN x := 'CANARY-name-2'; RETURN true; END$$;
CREATE FUNCTION own.by_operator() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$SELECT 'a' =%= 'b'$$;
CREATE TABLE own.by_w (id int4, x text DEFAULT own.by_write());
CREATE TABLE own.by_c (id int4, x text DEFAULT own.by_cast());
CREATE TABLE own.by_n (id int4, x text DEFAULT own.by_column());
CREATE TABLE own.by_d (id int4, x bool DEFAULT own.by_domain());
CREATE TABLE own.by_o (id int4, x text DEFAULT own.by_operator());

-- Ranges compare their bounds by a class of their own.
CREATE FUNCTION own.text_cmp(a text, b text) RETURNS int4 LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS
    'BEGIN RETURN CASE WHEN a < b THEN -1 WHEN a = b THEN 0 ELSE 1 END
        * CASE WHEN EXISTS (SELECT FROM public.patients WHERE mrn = 2) THEN -1 ELSE 1 END; END';
CREATE OPERATOR CLASS own.text_ops FOR TYPE text USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 own.text_cmp(text, text);
CREATE TYPE own.span AS RANGE (SUBTYPE = text, SUBTYPE_OPCLASS = own.text_ops, MULTIRANGE_TYPE_NAME = own.spans);
CREATE TABLE own.spanned (id int4, r own.span);
INSERT INTO own.spanned VALUES (1, 'empty');
-- JSON functions look for casts of their own.
CREATE TYPE own.felt AS ENUM ('low', 'high');
CREATE FUNCTION own.felt_json(own.felt) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS 'BEGIN RETURN to_json(own.peek(''x'')); END';
CREATE CAST (own.felt AS json) WITH FUNCTION own.felt_json(own.felt);
CREATE TABLE own.felts (id int4, m own.felt, a own.felt[]);
INSERT INTO own.felts VALUES (1, 'low', '{low}');
-- What runs with a function, and behind what it writes.
CREATE FUNCTION own.given(x text DEFAULT own.peek('x')) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION own.given_too() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT own.given()';
CREATE TABLE own.by_a (id int4, x text DEFAULT own.given());
CREATE TABLE own.by_aa (id int4, x text DEFAULT own.given_too());
CREATE TABLE own.logged (x text);
CREATE TABLE own.ruled (x text);
CREATE RULE r AS ON INSERT TO own.ruled DO INSTEAD INSERT INTO own.logged VALUES (own.peek('x'));
CREATE FUNCTION own.by_rule() RETURNS text LANGUAGE sql SECURITY DEFINER
    AS $$INSERT INTO own.ruled VALUES ('a'); SELECT x FROM own.logged$$;
CREATE TABLE own.by_r (id int4, x text DEFAULT own.by_rule());
CREATE FUNCTION own.at_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    AS 'BEGIN NEW.x := own.peek(''x''); RETURN NEW; END';
CREATE TABLE own.triggered (x text);
CREATE TRIGGER t BEFORE INSERT ON own.triggered FOR EACH ROW EXECUTE FUNCTION own.at_insert();
CREATE FUNCTION own.by_trigger() RETURNS text LANGUAGE sql SECURITY DEFINER
    AS $$INSERT INTO own.triggered VALUES ('a') RETURNING x$$;
CREATE TABLE own.by_t (id int4, x text DEFAULT own.by_trigger());

CREATE SCHEMA app;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION "uuid-ossp";
CREATE TYPE app.sex AS ENUM ('f', 'm');
CREATE DOMAIN app.mail AS citext CHECK (VALUE ~ '@');
CREATE DOMAIN app.percent AS int4 CHECK (VALUE BETWEEN 0 AND 100);
CREATE FUNCTION app.luhn(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE total int := 0; notes text;
    BEGIN FOR i IN 1 .. length($1) LOOP total := total + substr($1, i, 1)::int * (1 + i % 2); END LOOP;
    RETURN total % 10 = 0; END $$;
CREATE DOMAIN app.card AS text CHECK (app.luhn(VALUE));
CREATE FUNCTION app.is_ward(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM ward WHERE label = $1)';
CREATE DOMAIN app.ward AS text CHECK (app.is_ward(VALUE));
CREATE FUNCTION app.as_int2(bool) RETURNS int2 LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 THEN 1 ELSE 0 END::int2';
CREATE CAST (bool AS int2) WITH FUNCTION app.as_int2(bool) AS IMPLICIT;
CREATE FUNCTION app.as_sex(text) RETURNS app.sex LANGUAGE plpgsql IMMUTABLE
    AS $$BEGIN IF $1 LIKE 'f%' THEN RETURN 'f'::app.sex; END IF; RETURN 'm'::app.sex; END$$;
CREATE CAST (text AS app.sex) WITH FUNCTION app.as_sex(text) AS ASSIGNMENT;
CREATE FUNCTION app.near(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT lower($1) = lower($2)';
CREATE OPERATOR public.=~= (LEFTARG = text, RIGHTARG = text, FUNCTION = app.near);
CREATE SEQUENCE app.codes;
CREATE TABLE app.counters (name text PRIMARY KEY, n int8);
INSERT INTO app.counters VALUES ('form', 1);
CREATE FUNCTION app.next_code() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE n int8; BEGIN SELECT nextval('app.codes') INTO n; RETURN 'C' || lpad(n::text, 7, '0'); END $$;
CREATE FUNCTION app.next_form() RETURNS int8 LANGUAGE sql SECURITY DEFINER
    AS $$UPDATE app.counters SET n = n + 1 WHERE name = 'form' RETURNING n$$;
CREATE FUNCTION app.uuid_v7() RETURNS uuid LANGUAGE sql AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
        substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::int8) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid $$;
CREATE TABLE app.people (
    id int4 GENERATED ALWAYS AS IDENTITY, a serial, mail app.mail, share app.percent DEFAULT 50, sex app.sex,
    card app.card DEFAULT '18', ward app.ward DEFAULT 'north', code text DEFAULT app.next_code(),
    form int8 DEFAULT app.next_form(), made timestamptz DEFAULT now(), u uuid DEFAULT gen_random_uuid(),
    v uuid DEFAULT uuid_generate_v4(), w uuid DEFAULT app.uuid_v7(), x hstore DEFAULT 'a=>1', who text DEFAULT current_user,
    note text CHECK (length(note) < 100), low text GENERATED ALWAYS AS (lower(note)) STORED,
    CHECK (app.near(note, note) IS NOT false));
GRANT USAGE ON SCHEMA own, app TO nurse;
GRANT ALL ON ALL TABLES IN SCHEMA own, app TO nurse;
GRANT ALL ON ALL SEQUENCES IN SCHEMA app TO nurse;
