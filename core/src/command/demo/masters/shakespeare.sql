CREATE TABLE character (
    charid text PRIMARY KEY,
    charname text NOT NULL,
    play text NOT NULL,
    speechcount int NOT NULL);
INSERT INTO character VALUES
    ('falstaff', 'Sir John Falstaff', 'Henry IV', 471),
    ('hamlet', 'Hamlet', 'Hamlet', 358),
    ('iago', 'Iago', 'Othello', 272),
    ('juliet', 'Juliet', 'Romeo and Juliet', 118),
    ('kate', 'Katharina', 'The Taming of the Shrew', 82),
    ('macbeth', 'Macbeth', 'Macbeth', 146),
    ('puck', 'Puck', 'A Midsummer Night''s Dream', 33),
    ('rosalind', 'Rosalind', 'As You Like It', 201);
