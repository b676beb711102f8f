DROP FUNCTION members_webhook_listeners(text);
DROP FUNCTION members_webhook_scope(text);
