DROP FUNCTION rewards_new_code();
DROP FUNCTION rewards_is_code(text);
DROP FUNCTION rewards_code_sum(text);
