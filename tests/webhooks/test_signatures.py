"""Signatures by the arithmetic of the Standard Webhooks specification."""

import base64
import hashlib
import hmac

import pytest

from config.lib import signatures
from config.lib.signatures import SecretUnreadable

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_example_of_the_specification_comes_out() -> None:
    signed = signatures.sign(
        signatures.read_secret(SECRET), message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=BODY
    )

    assert signed == SIGNATURE


def test_what_is_signed_is_id_timestamp_and_body_with_dots_between() -> None:
    secret = bytes(range(32))
    plain = hmac.new(secret, 'msg_1.1700000000.{"名":1}'.encode(), hashlib.sha256).digest()

    signed = signatures.sign(secret, message_id="msg_1", timestamp=1700000000, body='{"名":1}'.encode())

    assert signed == "v1," + base64.b64encode(plain).decode()


def test_a_secret_is_of_256_random_bits_and_reads_back_as_it_was_written() -> None:
    one, other = signatures.new_secret(), signatures.new_secret()

    assert one != other
    assert len(one) == 32
    assert signatures.write_secret(one).startswith("whsec_")
    assert signatures.read_secret(signatures.write_secret(one)) == one


def test_a_text_that_is_no_secret_is_refused() -> None:
    with pytest.raises(SecretUnreadable):
        signatures.read_secret("whsec_not base64!")
