DROP FUNCTION members_is_card_number(text);
