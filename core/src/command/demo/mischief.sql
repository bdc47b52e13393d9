-- One transaction a line: changes that copies tend to get wrong.
UPDATE difficult_texts SET short = 'new' WHERE id = 8
UPDATE difficult_texts SET words = words || 'x', padded = NULL WHERE id IN (1, 8)
BEGIN; UPDATE only_keys SET a = -1 WHERE a = 1; UPDATE only_keys SET a = 1 WHERE a = 2; UPDATE only_keys SET a = 2 WHERE a = -1; COMMIT
UPDATE only_keys SET a = a + 100000
DELETE FROM no_key WHERE ctid = (SELECT min(ctid) FROM no_key WHERE name = 'twin')
UPDATE no_key SET amount = 5, name = 'changed' WHERE ctid = (SELECT max(ctid) FROM no_key WHERE name = 'twin')
BEGIN; TRUNCATE emptied; INSERT INTO emptied VALUES (1, 'after the truncate'); COMMIT
BEGIN; DELETE FROM difficult_numbers WHERE id = 1; INSERT INTO difficult_numbers (id, exact) VALUES (1, 'Infinity'); COMMIT
UPDATE "Quoted ""Names""" SET "Größe" = "Größe" || ':\', "tahr 🐐" = NULL
INSERT INTO emptied SELECT n, md5(n::text) FROM generate_series(2, 20000) n
BEGIN; INSERT INTO difficult_times VALUES (9, 'today'); SAVEPOINT a; DELETE FROM difficult_times; ROLLBACK TO a; COMMIT
UPDATE difficult_shapes SET feeling = 'happy', names = '{moved}', id = id + 100 WHERE id < 3
DELETE FROM emptied WHERE id % 3 = 0
UPDATE difficult_bytes SET raw = raw || '\x00ff', id = '99999999-9999-9999-9999-999999999999' WHERE raw = ''
