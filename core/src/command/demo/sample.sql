-- pgbench only inserts into it, but tahr is to be told so by a person, or to be able to do more.
ALTER TABLE pgbench_history REPLICA IDENTITY FULL;

-- Tables of values and shapes that copies tend to get wrong.

CREATE TABLE difficult_numbers (
    id bigint PRIMARY KEY, exact numeric, money_like numeric(12, 2), double double precision,
    single real, small smallint, is_true boolean);
INSERT INTO difficult_numbers VALUES
    (1, 'NaN', 0, 'NaN', 'NaN', 0, true),
    (2, 1e1000 + 1, 9999999999.99, 1.7976931348623157e308, 3.4028235e38, 32767, false),
    (3, -1e-300, -0.01, 5e-324, 1e-45, -32768, NULL),
    (4, 0.1000, 1.50, 0.1, 0.1, 1, true),
    (5, 1234567890123456789012345678901234567890.12345678901234567890, 1, 9007199254740993, 16777217, 1, false),
    (6, 0, 0, 'Infinity', '-Infinity', NULL, true),
    (9223372036854775807, 1, 1, 1e15, 1e6, 1, true),
    (-9223372036854775808, 100, 100, 123456789.123456789, 1e-5, 1, false);

CREATE TABLE difficult_times (
    id int PRIMARY KEY, day date, moment timestamp, instant timestamptz, clock time, far timetz, span interval);
INSERT INTO difficult_times VALUES
    (1, 'infinity', '-infinity', 'infinity', '24:00', '24:00+14', '178000000 years'),
    (2, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '0044-03-15 12:00:00+01 BC', '00:00', '00:00-15', '-1 month +1 day -00:00:00.000001'),
    (3, '5874897-12-31', '294276-12-31 23:59:59.999999', '2026-03-29 02:30:00+01', '23:59:59.999999', '12:00+05:30', '0'),
    (4, '0001-01-01', '2000-02-29 12:34:56.7', '1900-01-01 00:00:00+00:19:32', NULL, NULL, '1 year 2 mons 3 days 04:05:06.789');

CREATE TABLE difficult_texts (id int PRIMARY KEY, words text, padded char(8), short varchar(4));
INSERT INTO difficult_texts VALUES
    (1, '', '', ''),
    (2, NULL, NULL, NULL),
    (3, E'tab\t newline\n return\r backslash\\ \\N quote'' "double"', 'a', 'abcd'),
    (4, E'Grüße 日本語 \U0001F418 e\u0301 \u202eright to left', 'ü', '日本語!'),
    (5, 'NULL', 'NULL', 'null'),
    (6, '  blanks at both ends  ', '  x', ' '),
    (7, '1e5', '007', '0x1F'),
    (8, (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 32768) n), 'toast', '1MB');

CREATE TABLE difficult_bytes (id uuid PRIMARY KEY, raw bytea, bits bit varying, address inet);
INSERT INTO difficult_bytes VALUES
    ('00000000-0000-0000-0000-000000000000', '', '', '::1'),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', (SELECT string_agg(decode(lpad(to_hex(n), 2, '0'), 'hex'), '' ORDER BY n) FROM generate_series(0, 255) n), '101', '10.1.2.3/8'),
    ('12345678-1234-1234-1234-123456789abc', '\x5c', NULL, NULL);

CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TABLE difficult_shapes (
    id int PRIMARY KEY, document json, tree jsonb, feeling mood, names text[], grid int[], whiles tstzrange, place point);
INSERT INTO difficult_shapes VALUES
    (1, '{"b":  1, "a": [1, 2.50, null], "b": 2}', '{"b": 1e2, "a": "\u00e9"}', 'it''s ok', '{a,"b c","d\"e",NULL,"NULL",""}', '{{1,2},{3,4}}', '[2026-01-01, infinity)', '(1.5,-2)'),
    (2, 'null', '[]', 'sad', '{}', '[0:1]={7,8}', 'empty', NULL),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE "Quoted ""Names""" (
    "Größe" text, "select" text, "a.b: {c}" int, "tahr 🐐" text, PRIMARY KEY ("select", "Größe"));
INSERT INTO "Quoted ""Names""" VALUES
    ('a:b', 'c', 1, 'one'), ('b', 'a:c', 2, 'other'), ('\', ':', 3, NULL), ('', '', 4, ''), ('\:', '\\', 5, 'x');

CREATE TABLE no_key (name text, amount int, is_paid boolean, at timestamptz);
ALTER TABLE no_key REPLICA IDENTITY FULL;
INSERT INTO no_key SELECT 'twin', 1, NULL, 'infinity' FROM generate_series(1, 3);
INSERT INTO no_key VALUES (NULL, NULL, NULL, NULL), ('', 0, false, '2026-01-01'), ('single', 2, true, NULL);

CREATE TABLE only_keys (a int, b int, PRIMARY KEY (b, a));
INSERT INTO only_keys SELECT n, n % 7 FROM generate_series(1, 1000) n;

CREATE TABLE emptied (id int PRIMARY KEY, name text);
INSERT INTO emptied SELECT n, 'row ' || n FROM generate_series(1, 500) n;

-- Changed whenever the demo wants to know how far the targets are.
CREATE TABLE heartbeat (id int PRIMARY KEY, beats int NOT NULL);
INSERT INTO heartbeat VALUES (1, 0);

ANALYZE;
