-- Whether a text is a card number: 9 to 16 digits, the last of which checks the others (Luhn, ISO/IEC 7812-1).
CREATE FUNCTION members_is_card_number(number text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN number ~ '^[0-9]{9,16}$' THEN (
        SELECT sum(CASE
            WHEN place % 2 = 1 THEN digit
            WHEN digit < 5 THEN digit * 2
            ELSE digit * 2 - 9
        END) % 10 = 0
        FROM (
            SELECT place, substr(number, length(number) + 1 - place, 1)::integer AS digit
            FROM generate_series(1, length(number)) AS place
        ) AS digits
    ) ELSE false END
$$;
