-- What changed, in the order in which it was committed: who changes something holds the
-- row with the newest number until its transaction ends. A trigger and not the program
-- writes it, so that it has the changes of programs that do not know of it.
CREATE TABLE newest_change (
    one boolean PRIMARY KEY CHECK (one),
    seq bigint NOT NULL
);
INSERT INTO newest_change (one, seq) VALUES (true, 0);

-- The newest 10,000; whoever is further behind reads everything again.
CREATE TABLE changes (
    seq  bigint PRIMARY KEY,
    kind text NOT NULL,
    key  text NOT NULL
);

CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    was jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    UPDATE newest_change SET seq = seq + 1 RETURNING seq INTO n;
    IF TG_TABLE_NAME = 'documents' THEN
        INSERT INTO changes (seq, kind, key) VALUES (n, was ->> 'kind', was ->> 'key');
    ELSE
        INSERT INTO changes (seq, kind, key) VALUES (n, TG_TABLE_NAME, was ->> 'id');
    END IF;
    DELETE FROM changes WHERE seq = n - 10000;
    RETURN NULL;
END $$;

CREATE TRIGGER users_note_change AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TRIGGER devices_note_change AFTER INSERT OR UPDATE OR DELETE ON devices FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TRIGGER documents_note_change AFTER INSERT OR UPDATE OR DELETE ON documents FOR EACH ROW EXECUTE FUNCTION note_change();
