DROP FUNCTION members_webhook_listeners(text);
