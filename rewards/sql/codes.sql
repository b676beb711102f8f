-- Codes that people copy by hand: fifteen random characters (74 bits) of an alphabet without 0 O 1 I L, and a check
-- character that tells any one wrong character and any two exchanged ones. 31 characters, because 31 is a prime.

-- The sum the check rests on: each place weighs its position, so that exchanged characters weigh differently.
CREATE FUNCTION rewards_code_sum(code text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT sum(place * (strpos('23456789ABCDEFGHJKMNPQRSTUVWXYZ', substr(code, place, 1)) - 1))::int % 31
    FROM generate_series(1, length(code)) AS place
$$;

CREATE FUNCTION rewards_is_code(code text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN code ~ '^[2-9A-HJKMNP-Z]{16}$'
        THEN (rewards_code_sum(left(code, 15))
              + strpos('23456789ABCDEFGHJKMNPQRSTUVWXYZ', right(code, 1)) - 1) % 31 = 0
        ELSE false END
$$;

-- The random part is cut from the random bits of a version 4 UUID, which the server draws from its strong source.
CREATE FUNCTION rewards_new_code() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    alphabet constant text := '23456789ABCDEFGHJKMNPQRSTUVWXYZ';
    hex constant text := replace(gen_random_uuid()::text, '-', '');
    head bigint := ('x' || substr(hex, 1, 12))::bit(48)::bigint;
    tail bigint := ('x' || substr(hex, 19, 14))::bit(56)::bigint;
    code text := '';
BEGIN
    FOR place IN 1 .. 7 LOOP
        code := code || substr(alphabet, (head % 31)::int + 1, 1);
        head := head / 31;
    END LOOP;
    FOR place IN 1 .. 8 LOOP
        code := code || substr(alphabet, (tail % 31)::int + 1, 1);
        tail := tail / 31;
    END LOOP;
    RETURN code || substr(alphabet, (31 - rewards_code_sum(code)) % 31 + 1, 1);
END $$;
